import { isOAuthFlowError, OAuthAuthorizationError } from '../errors'
import { unlessAborted } from '../mutex'
import type { AuthorizationCallback, OAuthOptions } from '../options'
import type { ReceiverSession } from '../receiver'
import type { Settings } from '../settings'

/** What a person is sent to, and the state that comes back. */
interface Invitation {
  readonly authorizationUrl: string
  readonly state: string
}

/** Sends people to an authorization URL and waits for their callback, through a receiver or the two handlers. */
export class Visits {
  readonly #handlers: Pick<Settings, 'redirectHandler' | 'callbackHandler' | 'receiver'>
  readonly #sessions = new Map<string, ReceiverSession>()

  constructor(handlers: Pick<Settings, 'redirectHandler' | 'callbackHandler' | 'receiver'>) {
    this.#handlers = handlers
  }

  get canAsk(): boolean {
    const { receiver, callbackHandler } = this.#handlers
    return receiver !== undefined || callbackHandler !== undefined
  }

  /** Keeps the open receiver for the visit with this state, which closes it. */
  expect(state: string, session: ReceiverSession): void {
    this.#sessions.set(state, session)
  }

  /** Resolves with the callback; rejects when the signal aborts or the waiting side fails. Leaves no listener. */
  async visit({ authorizationUrl, state }: Invitation, signal: AbortSignal): Promise<AuthorizationCallback> {
    const { redirectHandler, callbackHandler } = this.#handlers
    const session = this.#sessions.get(state)
    try {
      // Everybody may have gone while the sign-in began.
      signal.throwIfAborted()
      if (session !== undefined) {
        // Listening comes first: the callback may arrive before the launcher returns, and a launcher may hang.
        const callback = callbackFrom((o) => session.callbackHandler(o), { state, signal })
        void showTo((url) => session.redirectHandler(url), authorizationUrl)
        return await unlessAborted(callback, signal)
      }
      if (redirectHandler === undefined || callbackHandler === undefined) throw nobodyToAsk()
      await unlessAborted(showTo(redirectHandler, authorizationUrl), signal)
      return await unlessAborted(callbackFrom(callbackHandler, { state, signal }), signal)
    } finally {
      this.#sessions.delete(state)
      await session?.close()
    }
  }
}

/** A launcher that fails does not end the wait: the person may still have the URL. */
async function showTo(show: (url: string) => void | Promise<void>, url: string): Promise<void> {
  try {
    await show(url)
  } catch {
    // The callback may still come; the deadline for the person bounds the wait.
  }
}

/** What a handler throws ends the wait; of a foreign error name and code are kept. */
async function callbackFrom(
  handler: NonNullable<OAuthOptions['callbackHandler']>,
  o: { readonly state: string; readonly signal: AbortSignal },
): Promise<AuthorizationCallback> {
  try {
    return await handler(o)
  } catch (cause) {
    if (isOAuthFlowError(cause) || o.signal.aborted) throw cause
    throw new OAuthAuthorizationError('The callback handler failed while it waited for the person.', {
      code: 'OAUTH_ABORTED',
      hint: 'What it threw is not shown here; catch and log it in the handler itself.',
      cause,
    })
  }
}

function nobodyToAsk(): OAuthAuthorizationError {
  return new OAuthAuthorizationError('Nobody can be asked to sign in: there is no receiver and no callback handler.', {
    code: 'OAUTH_AUTHORIZATION_REQUIRED',
  })
}

import { isOAuthFlowError, OAuthAuthorizationError } from '../errors'
import { unlessAborted } from '../mutex'
import { nextInterval } from '../protocol/device-authorization'

/** Milliseconds that polling slows down to while the server cannot be reached. */
const slowestPoll = 60_000

/**
 * Asks again and again until there is an answer (RFC 8628 §3.4 and §3.5): the interval comes first, grows when the server
 * says so, and a transient failure only delays. Rejects with `OAUTH_AUTHORIZATION_DENIED`, with `OAUTH_CALLBACK_TIMEOUT`
 * at `expiresAt`, with any other error of `ask`, and with the signal's reason.
 */
export async function poll<T>(
  ask: () => Promise<T>,
  o: {
    /** Seconds. */
    readonly interval: number
    /** Milliseconds since the epoch. */
    readonly expiresAt: number
    readonly now: () => number
    readonly signal: AbortSignal
  },
): Promise<T> {
  let { interval } = o
  let wait = interval * 1000
  for (;;) {
    await sleep(Math.min(wait, o.expiresAt - o.now()), o.signal)
    if (o.now() >= o.expiresAt) throw codeExpired()
    try {
      return await ask()
    } catch (error) {
      if (!isOAuthFlowError(error)) throw error
      const next = nextInterval(error.oauthError, interval)
      if (next === undefined && !error.retryable) throw answerOf(error.oauthError) ?? error
      // RFC 8628 §3.5: on a connection timeout "clients MUST unilaterally reduce their polling frequency".
      const slower = next === undefined ? Math.max(wait, Math.min(2 * wait, slowestPoll)) : next * 1000
      interval = next ?? interval
      wait = Math.max(slower, error.retryAfter ?? 0)
    }
  }
}

/** The error of a code that nobody entered in time. */
export function codeExpired(): OAuthAuthorizationError {
  return new OAuthAuthorizationError('Nobody entered the code before it expired.', {
    code: 'OAUTH_CALLBACK_TIMEOUT',
    hint: 'Call authorize() to get a new code.',
  })
}

function answerOf(oauthError: string | undefined): OAuthAuthorizationError | undefined {
  if (oauthError === 'expired_token') return codeExpired()
  if (oauthError !== 'access_denied') return undefined
  return new OAuthAuthorizationError('The person did not allow the access.', {
    code: 'OAUTH_AUTHORIZATION_DENIED',
    oauthError,
    hint: 'Call authorize() to ask again.',
  })
}

/** Waits; rejects with the signal's reason at once when that aborts, and leaves no timer behind. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await unlessAborted(new Promise((resolve) => (timer = setTimeout(resolve, Math.max(0, milliseconds)))), signal)
  } finally {
    clearTimeout(timer)
  }
}

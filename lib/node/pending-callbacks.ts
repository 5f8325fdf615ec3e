import { createHash } from 'node:crypto'
import { OAuthAuthorizationError } from '../errors'

interface Pending {
  readonly promise: Promise<string>
  readonly resolve: (callback: string) => void
  readonly reject: (reason: unknown) => void
  taken: boolean
}

/** What became of a callback: it belongs to nobody, its state was used up, or it is to be delivered (once). */
export type Acceptance = 'unknown' | 'finished' | ((callback: string) => void)

/**
 * The states that callbacks are waited for, each good for one callback.
 *
 * They are looked up by digest, so that the time of a look-up says nothing about how much of a state was guessed.
 */
export class PendingCallbacks {
  readonly #pending = new Map<string, Pending>()

  /** Makes a state known, so that a callback that comes before {@link wait} is kept for it. */
  expect(state: string): void {
    this.#entry(state)
  }

  /** Resolves with the callback URL for the state; rejects with the reason of the signal, and forgets the state. */
  wait({ state, signal }: { readonly state: string; readonly signal: AbortSignal }): Promise<string> {
    const entry = this.#entry(state)
    const abort = (): void => {
      this.#pending.delete(digest(state))
      entry.reject(signal.reason)
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    return entry.promise.finally(() => signal.removeEventListener('abort', abort))
  }

  /**
   * Takes a callback by its `state`. One that repeats `state` is taken if any copy is known: whoever knows the state may
   * end the flow, and the flow refuses repeated parameters (RFC 6749 §3.1).
   */
  accept(parameters: URLSearchParams): Acceptance {
    const known = parameters.getAll('state').flatMap((state) => this.#pending.get(digest(state)) ?? [])
    const entry = known.find(({ taken }) => !taken)
    if (entry === undefined) return known.length > 0 ? 'finished' : 'unknown'
    entry.taken = true
    return entry.resolve
  }

  /** Whether a callback for one of the states is still outstanding. */
  isWaiting(states: Iterable<string>): boolean {
    return [...states].some((state) => this.#pending.get(digest(state))?.taken === false)
  }

  /** No longer expects a state; whoever still waits is rejected with OAUTH_ABORTED. A used-up state stays used up. */
  drop(state: string): void {
    const entry = this.#pending.get(digest(state))
    if (entry?.taken === false) this.#pending.delete(digest(state))
    entry?.reject(closedError())
  }

  #entry(state: string): Pending {
    const known = this.#pending.get(digest(state))
    if (known !== undefined) return known
    const entry = createPending()
    this.#pending.set(digest(state), entry)
    return entry
  }
}

/** The rejection of a wait whose receiver has been closed. */
export function closedError(): OAuthAuthorizationError {
  return new OAuthAuthorizationError('The receiver was closed while it waited for the callback of a sign-in', {
    code: 'OAUTH_ABORTED',
    hint: 'Sign in again.',
  })
}

function createPending(): Pending {
  let resolve: Pending['resolve'] = () => undefined
  let reject: Pending['reject'] = () => undefined
  const promise = new Promise<string>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  // A state that is expected but not waited for yet may be dropped without anybody listening.
  promise.catch(() => undefined)
  return { promise, resolve, reject, taken: false }
}

function digest(state: string): string {
  return createHash('sha256').update(state).digest('base64url')
}

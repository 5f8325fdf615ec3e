import { isOAuthFlowError, OAuthScopeError, type OAuthFlowError, type OAuthPhase } from './errors'
import type { Need, Refusal } from './need'
import { missingScope, parseScope } from './protocol/scope'
import type { TokenSource } from './token-source'
import type { TokenSet } from './storage/record'

/** Milliseconds in which a scope set is not asked for again, and the number of step-ups in that time. */
const coolDown = 600_000
const maxStepUps = 5

/** Failures of these phases come before anybody is asked. */
const beforeAsking: ReadonlySet<OAuthPhase> = new Set(['discovery', 'registration', 'storage', 'scope'])

/**
 * Widens the granted scope after a 403 `insufficient_scope` (RFC 6750 §3.1), or before a request that says what it needs:
 * once per scope set until the session changes, and never for what is granted already.
 */
export class StepUp {
  readonly #source: TokenSource
  /** When which scope set was asked for, in milliseconds since the epoch. */
  readonly #asked = new Map<string, number>()
  /** How many requests wait for which scope set. */
  readonly #underWay = new Map<string, number>()

  constructor(source: TokenSource) {
    this.#source = source
    const { events } = source.context
    events.on('signedOut', () => this.#asked.clear())
    // A sign-in that was no step-up is another session.
    events.on('authorized', () => this.#underWay.size === 0 && this.#asked.clear())
  }

  /** The scope to ask for because of a refusal of `tokens`, or undefined when the 403 is the caller's. */
  wanted(refusal: Refusal | undefined, tokens: TokenSet | undefined): string | undefined {
    const { stepUp } = this.#source.context.settings
    if (refusal?.error !== 'insufficient_scope' || refusal.scope === undefined || stepUp === 'off') return undefined
    const missing = missingScope(tokens?.scope, refusal.scope)
    if (missing === undefined) return undefined
    // Somebody else has widened the scope since this request was sent.
    const current = this.#source.context.currentTokens
    if (current !== undefined && missingScope(current.scope, missing) === undefined) return missing
    return this.#mayAsk(missing) ? missing : undefined
  }

  /** What of the scope that a request declares is to be asked for before it is sent. Without a session: all of it. */
  missing(scope: string): string | undefined {
    const { currentTokens: tokens, settings } = this.#source.context
    if (tokens === undefined) return scope
    const missing = settings.stepUp === 'off' ? undefined : missingScope(tokens.scope, scope)
    return missing !== undefined && this.#mayAsk(missing) ? missing : undefined
  }

  /** Widens the scope. Rejects with an `OAuthScopeError` when that was declined, failed, or is not wanted. */
  async widen(scope: string, need: Need, signal: AbortSignal): Promise<TokenSet> {
    const { settings, events, server, currentTokens } = this.#source.context
    // A first sign-in is no step-up, nor is what somebody else has widened meanwhile.
    const isNoStepUp = currentTokens === undefined || missingScope(currentTokens.scope, scope) === undefined
    if (isNoStepUp) return this.#source.obtain({ ...need, scope }, signal)
    if (settings.stepUp === 'throw') throw required(scope)
    const key = keyOf(scope)
    const others = this.#underWay.get(key) ?? 0
    if (others === 0) {
      this.#asked.set(key, settings.now())
      events.emit('stepUp', { origin: new URL(server?.issuer ?? settings.serverUrl).origin, duration: 0, scope })
    }
    this.#underWay.set(key, others + 1)
    let wasAsked = false
    const stopListening = events.on('authorizationRequired', ({ asking }) => (wasAsked ||= asking))
    try {
      return await this.#source.obtain({ ...need, scope }, signal)
    } catch (error) {
      if (isOAuthFlowError(error) ? beforeAsking.has(error.phase) : !wasAsked) this.#asked.delete(key)
      throw isDeclined(error) ? notGiven(scope, settings.serverUrl, error) : error
    } finally {
      stopListening()
      this.#leave(key)
    }
  }

  #leave(key: string): void {
    const others = (this.#underWay.get(key) ?? 1) - 1
    if (others === 0) this.#underWay.delete(key)
    else this.#underWay.set(key, others)
  }

  #mayAsk(scope: string): boolean {
    const now = this.#source.context.settings.now()
    for (const [key, at] of this.#asked) if (now - at >= coolDown) this.#asked.delete(key)
    if (this.#underWay.has(keyOf(scope))) return true
    return this.#asked.size < maxStepUps && !this.#asked.has(keyOf(scope))
  }
}

function keyOf(scope: string): string {
  return [...parseScope(scope)].sort().join(' ')
}

function required(scope: string): OAuthScopeError {
  return new OAuthScopeError(`The operation needs more access than was granted: ${scope}.`, {
    code: 'OAUTH_SCOPE_DENIED',
    requiredScope: scope,
    hint: 'Call authorize({ scope: error.requiredScope }) and send the request again.',
  })
}

/** Somebody or the server said no, and asking again at once would change nothing. */
function isDeclined(error: unknown): error is OAuthFlowError {
  if (!isOAuthFlowError(error) || error.retryable || beforeAsking.has(error.phase)) return false
  return error.code !== 'OAUTH_ABORTED' && !(error instanceof OAuthScopeError)
}

function notGiven(scope: string, endpoint: string, cause: OAuthFlowError): OAuthScopeError {
  return new OAuthScopeError(`More access was asked for and not given: ${scope}.`, {
    code: 'OAUTH_SCOPE_DENIED',
    requiredScope: scope,
    endpoint,
    oauthError: cause.oauthError,
    cause,
    hint: 'The present access stays in use; call authorize({ scope }) to ask again.',
  })
}

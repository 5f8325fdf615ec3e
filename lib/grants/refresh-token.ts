import type { OAuthContext } from '../context'
import { codeOf, type OAuthEventBase } from '../events'
import { isOAuthFlowError, OAuthScopeError, OAuthTokenError, type OAuthFlowError } from '../errors'
import type { Lease } from '../state/lease'
import { sha256Base64url } from '../protocol/encoding'
import { isSecretExpired } from '../protocol/registration'
import { classifyTokenFailure } from '../protocol/token'
import type { GrantRecord, TokenSet } from '../storage/record'
import type { TokenEndpoint } from '../token-endpoint'
import { isOn, type Pause } from './pause'

/** What became of one renewal. */
export type RenewalOutcome =
  | { readonly kind: 'renewed'; readonly tokens: TokenSet }
  /** Somebody else was faster: these are what the store holds by now. */
  | { readonly kind: 'adopted'; readonly tokens: TokenSet }
  /** The session has ended for good; the refresh token is never posted again. */
  | { readonly kind: 'rejected'; readonly error: OAuthFlowError }
  /** The client is unknown by now; about the refresh token nothing was said. */
  | { readonly kind: 'client'; readonly error: OAuthFlowError }
  /** Nothing is lost: the same renewal may succeed later. */
  | { readonly kind: 'transient'; readonly error: OAuthFlowError }

const maxTries = 3
/** Milliseconds for all tries of one renewal: they end within the lease of the lock. */
const budget = 25_000
/** Milliseconds that storing may take, and that one answer may take. */
const toStore = 2_000
const longestAnswer = 10_000
const firstBackOff = 500
/** Milliseconds without a new attempt after a transient failure. */
const pause = 3_000
/** Refusals without an OAuth error (a firewall's page, an empty 403) that in a row mean no. */
const unclearLimit = 3

/**
 * The refresh-token grant (RFC 6749 §6): renews under the lock, tries a transient failure again within one budget, and
 * tells what is definitive from what is not.
 */
export class RefreshToken {
  readonly #context: OAuthContext
  readonly #endpoint: TokenEndpoint
  #paused: (Pause & { readonly error: OAuthFlowError; readonly refreshToken: string }) | undefined
  #unclear = 0

  constructor(o: { context: OAuthContext; tokenEndpoint: TokenEndpoint }) {
    this.#context = o.context
    this.#endpoint = o.tokenEndpoint
  }

  /**
   * Whether there is a refresh token that has not been rejected, and a client and a key that may present it. Throws
   * `OAUTH_DPOP_UNSUPPORTED` when a configured key has been replaced.
   */
  async isPossible(grant: GrantRecord): Promise<boolean> {
    const { tokens, client, deadRefreshTokens = [] } = grant
    const refreshToken = tokens?.refresh_token
    const { grant_types: grantTypes } = client
    if (refreshToken === undefined || isSecretExpired(client, this.#context.settings.now())) return false
    if (client.rejected === true || (grantTypes !== undefined && !grantTypes.includes('refresh_token'))) return false
    if (!this.#endpoint.mayPresent(grant)) return false
    return deadRefreshTokens.length === 0 || !deadRefreshTokens.includes(await sha256Base64url(refreshToken))
  }

  /** Whether the last renewal failed so lately that no new one begins. */
  isPaused(grant: GrantRecord): boolean {
    return this.#pauseOf(grant) !== undefined
  }

  #pauseOf({ tokens }: GrantRecord): { readonly error: OAuthFlowError } | undefined {
    const paused = this.#paused
    if (paused === undefined || paused.refreshToken !== tokens?.refresh_token) return undefined
    return isOn(paused, this.#context.settings.now()) ? paused : undefined
  }

  /** Renews the tokens of the grant in use and stores them before giving them. */
  async renew(
    lease: Pick<Lease, 'tokens' | 'until'>,
    grant: GrantRecord,
    o: { keepAccessToken: boolean },
  ): Promise<RenewalOutcome> {
    const { now } = this.#context.settings
    const paused = this.#pauseOf(grant)
    if (paused !== undefined) return { kind: 'transient', error: paused.error }
    const startedAt = now()
    const outcome = await this.#try(grant, 1, Math.min(startedAt + budget, lease.until - toStore))
    const told = { origin: new URL(grant.server.issuer).origin, duration: now() - startedAt }
    if ('tokens' in outcome) return this.#renewed(lease, grant, outcome.tokens, told)
    this.#report(outcome.error, told)
    if (outcome.kind === 'transient') return this.#pause(grant, outcome.error)
    if (outcome.kind === 'rejected') return this.#rejected(lease, grant, outcome.error, { ...o, told })
    return outcome
  }

  async #try(grant: GrantRecord, attempt: number, deadline: number): Promise<RenewalOutcome> {
    const { now, requestTimeout } = this.#context.settings
    try {
      const parameters = { grant_type: 'refresh_token', refresh_token: grant.tokens?.refresh_token ?? '' }
      const { server, client } = grant
      const within = deadline - now()
      const tokens = await this.#endpoint.request({
        server,
        client,
        parameters,
        within,
        requestedScope: grant.tokens?.scope,
        boundTo: grant.tokens?.dpop?.jkt,
      })
      this.#unclear = 0
      return { kind: 'renewed', tokens }
    } catch (error) {
      if (!isOAuthFlowError(error)) throw error
      const kind = this.#isAboutTheProof(error, grant) ? 'transient' : this.#classify(error)
      if (kind !== 'transient' || attempt >= maxTries || !error.retryable) return { kind, error }
      const wait = error.retryAfter ?? this.#backOff(attempt)
      // An answer that comes when the lease is over cannot be stored, and a rotated token would be lost.
      if (now() + wait + Math.min(requestTimeout, longestAnswer) > deadline) return { kind, error }
      await sleep(wait)
      return this.#try(grant, attempt + 1, deadline)
    }
  }

  /** A refused proof of the right key is about clocks and nonces, and says nothing about the refresh token. */
  #isAboutTheProof({ code, oauthError }: OAuthFlowError, { tokens }: GrantRecord): boolean {
    if (code === 'OAUTH_DPOP_NONCE') return true
    return oauthError === 'invalid_dpop_proof' && this.#endpoint.dpop.at(tokens?.dpop?.jkt) !== undefined
  }

  #classify(error: OAuthFlowError): 'transient' | 'client' | 'rejected' {
    // More than may ever be asked for was granted: what could be renewed is not wanted.
    if (error instanceof OAuthScopeError) return 'rejected'
    if (!isAnswer(error)) return 'transient'
    const kind = classify(error)
    this.#unclear = kind === 'unclear' ? this.#unclear + 1 : 0
    if (kind !== 'unclear') return kind
    return this.#unclear < unclearLimit ? 'transient' : 'rejected'
  }

  /** Full jitter: a fleet that failed together does not return together. */
  #backOff(attempt: number): number {
    const [byte = 128] = this.#context.settings.random(1)
    return (byte / 256) * firstBackOff * 2 ** attempt
  }

  async #renewed(
    lease: Pick<Lease, 'tokens'>,
    grant: GrantRecord,
    tokens: TokenSet,
    told: OAuthEventBase,
  ): Promise<RenewalOutcome> {
    this.#paused = undefined
    // RFC 6749 §6: what the response omits stays as it was.
    const refresh = tokens.refresh_token ?? grant.tokens?.refresh_token
    const scope = tokens.scope ?? grant.tokens?.scope
    const extra = { ...grant.tokens?.extra, ...tokens.extra }
    const kept: TokenSet = {
      ...tokens,
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
      ...(refresh === undefined ? {} : { refresh_token: refresh }),
      ...(scope === undefined ? {} : { scope }),
    }
    const { server, client } = grant
    const { requestedScope } = grant
    const inForce = await lease.tokens.save({ server, client, tokens: kept, requestedScope })
    this.#context.events.emit('refreshed', { ...told, scope, expiresAt: inForce.expiresAt })
    return { kind: 'renewed', tokens: inForce }
  }

  /** Looks at the store once more before a refresh token is declared dead: somebody else may have renewed. */
  async #rejected(
    lease: Pick<Lease, 'tokens'>,
    grant: GrantRecord,
    error: OAuthFlowError,
    o: { keepAccessToken: boolean; told: OAuthEventBase },
  ): Promise<RenewalOutcome> {
    const ended = await lease.tokens.end(grant.tokens?.refresh_token ?? '', o)
    const { current } = lease.tokens
    if (!ended && current !== undefined) return { kind: 'adopted', tokens: current }
    this.#context.events.emit('sessionEnded', { ...o.told, oauthError: error.oauthError })
    return { kind: 'rejected', error }
  }

  #pause({ tokens }: GrantRecord, reason: OAuthFlowError): RenewalOutcome {
    const { now } = this.#context.settings
    const error = withWayOut(reason)
    const since = now()
    const until = since + Math.max(pause, error.retryAfter ?? 0)
    this.#paused = { since, until, error, refreshToken: tokens?.refresh_token ?? '' }
    return { kind: 'transient', error }
  }

  #report(error: OAuthFlowError, told: OAuthEventBase): void {
    const { retryable, retryAfter } = error
    this.#context.events.emit('refreshFailed', { ...told, code: codeOf(error), retryable, retryAfter })
  }
}

function classify({ status = 0, oauthError }: OAuthFlowError): ReturnType<typeof classifyTokenFailure> {
  return classifyTokenFailure({
    status,
    ...(oauthError === undefined ? {} : { oauthError }),
    hasOAuthError: oauthError !== undefined,
  })
}

/**
 * Whether the server has said something about the refresh token. Neither a redirect does, nor a token that fails its
 * checks, nor a private error code under a status of success (THREATS TK-25).
 */
function isAnswer(error: OAuthFlowError): boolean {
  const { code, status } = error
  if (status === undefined || (code !== 'OAUTH_TEMPORARY' && code !== 'OAUTH_TOKEN_ENDPOINT_ERROR')) return false
  return error instanceof OAuthTokenError && (status >= 400 || classify(error) !== 'unclear')
}

/** The same failure, with the way out when it persists. */
function withWayOut(error: OAuthFlowError): OAuthFlowError {
  if (!(error instanceof OAuthTokenError) || error.hint !== undefined) return error
  const hint = 'Nothing is lost and a later request tries again; if it persists, authorize() signs in anew.'
  return new OAuthTokenError(error.message, { ...error, cause: error.cause, hint })
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

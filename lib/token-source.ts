import type { OAuthContext } from './context'
import type { Discovery } from './discovery'
import { isOAuthFlowError } from './errors'
import { RefreshToken, type RenewalOutcome } from './grants/refresh-token'
import type { SilentGrant } from './grants/grant'
import { GrantPresenter } from './grants/silent'
import type { Lease } from './lease'
import { SingleFlight } from './mutex'
import type { Need } from './need'
import { sameIssuer } from './protocol/issuer'
import { freshness } from './protocol/lifetime'
import { coversScope } from './protocol/scope'
import { SignInDesk } from './sign-in-desk'
import type { DiscoveredServer, GrantRecord, TokenSet } from './storage/record'
import type { DpopKeys } from './token-types/dpop-keys'
import type { Verbs } from './verbs'

/** What silent work came to: tokens, or that a person is needed. */
type Silent =
  { readonly kind: 'tokens'; readonly tokens: TokenSet } | { readonly kind: 'person'; readonly rejectedClient?: string }

/** Milliseconds in which a token that was refused and never accepted is not renewed again. */
const freshRefusal = 10_000
/** How often a need is looked at again when the shared outcome does not satisfy it. */
const maxRounds = 3

/**
 * Keeps one resource's tokens valid: hands out what memory holds, renews once for everybody, and asks a person only when
 * nothing else is left. The only caller of {@link OAuthContext.exclusive} besides the provider.
 */
export class TokenSource {
  readonly #context: OAuthContext
  readonly #discovery: Discovery
  readonly #refresh: RefreshToken
  readonly #presenter: GrantPresenter
  readonly #silent = new SingleFlight<Silent>()
  readonly desk: SignInDesk
  /** The keys that tokens may be bound to. */
  readonly dpop: DpopKeys
  #accepted: string | undefined
  #generation = 0

  constructor(verbs: Verbs) {
    this.#context = verbs.context
    this.#discovery = verbs.discovery
    this.#refresh = new RefreshToken(verbs)
    this.#presenter = new GrantPresenter(verbs)
    this.desk = new SignInDesk(verbs)
    this.dpop = verbs.tokenEndpoint.dpop
  }

  get context(): OAuthContext {
    return this.#context
  }

  /** Reads what is stored and makes a configured key ready, once, before the first use. */
  async load(): Promise<void> {
    await this.#context.load()
    await this.dpop.ready()
  }

  /**
   * The token to use now, if memory holds one that is good; in its advisory window one background renewal begins.
   * Costs nothing: this is what every request with a valid token runs.
   */
  usable(): TokenSet | undefined {
    const tokens = this.#context.currentTokens
    if (tokens === undefined) return undefined
    const state = freshness(tokens, this.#context.settings.now())
    if (state === 'expired' || !this.dpop.fit(tokens)) return undefined
    if (state === 'renewable' && this.#canRenewSilently()) this.#renewInBackground()
    return tokens
  }

  /** Whether a token can be had without a challenge of the resource and without a person. */
  canObtainSilently(): boolean {
    return this.#canRenewSilently()
  }

  /** Whether a request for this scope is under way: whoever needs it joins. */
  isAskingFor(scope: string): boolean {
    return this.#silent.has(flightKey({ scope })) || this.desk.isAskingFor(scope)
  }

  /** The resource has accepted this token. */
  noteAccepted(tokens: TokenSet): void {
    this.#accepted = tokens.access_token
  }

  /**
   * Whether a refused token may lead to a renewal. A token refused within 10 s of being issued, and never accepted in
   * between, may not: a server that refuses everything would otherwise be asked for tokens without end.
   */
  mayRenew(refused: TokenSet | undefined): boolean {
    if (refused === undefined || this.#accepted === refused.access_token) return true
    const current = this.#context.currentTokens
    if (current?.access_token !== refused.access_token) return true
    return this.#context.settings.now() - refused.issuedAt >= freshRefusal
  }

  /**
   * Tokens that satisfy the need: those of memory or store, a renewal shared with everybody who needs one, or a sign-in.
   * The signal ends this caller's wait only. Rejects with an `OAuthFlowError`, or with the signal's reason.
   */
  async obtain(need: Need, signal?: AbortSignal): Promise<TokenSet> {
    const generation = this.#generation
    for (let round = 1; ; round += 1) {
      const outcome = await this.#renewShared(need, signal)
      const tokens = outcome.kind === 'tokens' ? outcome.tokens : await this.#ask(need, outcome, signal)
      if (generation !== this.#generation) throw this.desk.signedOutMeanwhile()
      if (this.#satisfies(tokens, need, { justObtained: true }) || round >= maxRounds) return tokens
    }
  }

  /** Renews without asking anybody; failures are told by events only. */
  async renewQuietly(need: Need): Promise<void> {
    try {
      await this.#renewShared(need)
    } catch (error) {
      if (!isOAuthFlowError(error)) throw error
    }
  }

  /** Results of what is under way belong to a session that is over. */
  forgetSession(): void {
    this.#generation += 1
    this.desk.reset()
  }

  #renewShared(need: Need, signal?: AbortSignal): Promise<Silent> {
    return this.#silent.run(flightKey(need), () => this.#renew(need), signal)
  }

  #renewInBackground(): void {
    if (this.#silent.has(flightKey({}))) return
    this.renewQuietly({ early: true }).catch(() => undefined)
  }

  #ask(need: Need, { rejectedClient }: { rejectedClient?: string }, signal?: AbortSignal): Promise<TokenSet> {
    return this.desk.signIn(rejectedClient === undefined ? need : { ...need, rejectedClient }, signal)
  }

  /** Under the lock: looks again at what is stored, adopts it if it satisfies the need, else renews. */
  #renew(need: Need): Promise<Silent> {
    return this.#context.exclusive(async (lease) => {
      await this.dpop.ready()
      const { current } = lease.tokens
      if (current !== undefined && this.#satisfies(current, need)) return { kind: 'tokens', tokens: current }
      if (this.#neverAccepted(current, need)) lease.metadata.expire()
      const grant = await this.#grantInForce(lease, need)
      const refreshed = grant === undefined ? undefined : await this.#refreshed(lease, grant, need)
      if (refreshed !== undefined) return refreshed
      const { grant: configured } = this.#context.settings
      if (configured.kind === 'silent') return { kind: 'tokens', tokens: await this.#present(lease, configured, need) }
      const kept = lease.tokens.current
      if (kept !== undefined && need.early === true && this.#isGood(kept, need)) return { kind: 'tokens', tokens: kept }
      return { kind: 'person' }
    })
  }

  /**
   * The grant whose refresh token may be used: not before metadata that moved or was dropped has been read again. When the
   * resource names another authorization server by now, it is the one the session had there before, if any.
   */
  async #grantInForce(lease: Lease, need: Need): Promise<GrantRecord | undefined> {
    const { grant } = lease.tokens
    if (grant === undefined || need.signIn === true) return undefined
    const { metadata, clients } = lease
    const inDoubt =
      this.#discovery.hasMoved(lease, need) || metadata.dropped || (clients.several && need.refusal !== undefined)
    const server = inDoubt
      ? await this.#discovery.discover(lease, need, { reread: true })
      : (metadata.known ?? grant.server)
    if (sameIssuer(server.issuer, grant.server.issuer))
      return inDoubt ? { ...grant, server: followed(grant, server) } : grant
    const former = await clients.at(server.issuer)
    return former.find((other) => other.tokens?.refresh_token !== undefined)
  }

  async #refreshed(lease: Lease, grant: GrantRecord, need: Need): Promise<Silent | undefined> {
    const { current } = lease.tokens
    // RFC 6749 §6: a refresh never widens the scope.
    if (!coversScope(current?.scope, need.scope) || !(await this.#refresh.isPossible(grant))) return undefined
    const keepAccessToken = current !== undefined && this.#isGood(current, need)
    const outcome = await this.#refresh.renew(lease, grant, { keepAccessToken })
    return this.#afterRefresh(outcome, keepAccessToken ? current : undefined, grant)
  }

  #afterRefresh(outcome: RenewalOutcome, good: TokenSet | undefined, grant: GrantRecord): Silent | undefined {
    if (outcome.kind === 'renewed') return { kind: 'tokens', tokens: outcome.tokens }
    if (good !== undefined) return { kind: 'tokens', tokens: good }
    if (outcome.kind === 'rejected') return undefined
    if (outcome.kind === 'client' && grant.client.source === 'dynamic') {
      return { kind: 'person', rejectedClient: grant.client.client_id }
    }
    throw outcome.error
  }

  #present(lease: Lease, grant: SilentGrant, need: Need): Promise<TokenSet> {
    return this.#presenter.present(lease, grant, need)
  }

  #satisfies(tokens: TokenSet, need: Need, o: { justObtained?: boolean } = {}): boolean {
    if (tokens.access_token === need.refused || !this.dpop.fit(tokens)) return false
    if (o.justObtained === true) return coversScope(tokens.scope, need.scope) || need.scope === undefined
    if (need.signIn === true || !coversScope(tokens.scope, need.scope)) return false
    const state = freshness(tokens, this.#context.settings.now(), need.minValidity)
    return state === 'fresh' || (state === 'renewable' && need.early !== true)
  }

  /** Not refused and not expired: fit for use although a renewal failed. */
  #isGood(tokens: TokenSet, need: Need): boolean {
    const expired = tokens.expiresAt !== undefined && this.#context.settings.now() >= tokens.expiresAt
    return tokens.access_token !== need.refused && !expired && need.signIn !== true && this.dpop.fit(tokens)
  }

  #neverAccepted(current: TokenSet | undefined, need: Need): boolean {
    return current !== undefined && current.access_token === need.refused && this.#accepted !== need.refused
  }

  #canRenewSilently(): boolean {
    if (this.#context.settings.grant.kind === 'silent') return this.#context.grant !== undefined
    return this.#context.canRefreshToken()
  }
}

/** What a rediscovery changed about the server of a grant; the resource stays the one its tokens are for. */
function followed(grant: GrantRecord, server: DiscoveredServer): DiscoveredServer {
  const { resource, resourceParameter } = grant.server
  return { ...server, resource, ...(resourceParameter === undefined ? {} : { resourceParameter }) }
}

/** Callers of one key share one renewal: those who need the same scope, apart from explicit sign-ins. */
function flightKey({ scope = '', signIn = false }: Need): string {
  return JSON.stringify([scope, signIn])
}

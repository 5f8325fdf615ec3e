import type { OAuthContext } from './context'
import type { Discovery } from './discovery'
import { isOAuthFlowError } from './errors'
import { RefreshToken } from './grants/refresh-token'
import { GrantPresenter } from './grants/silent'
import type { Lease } from './state/lease'
import { SingleFlight } from './mutex'
import type { Need } from './need'
import { sameIssuer } from './protocol/issuer'
import { freshness, isExpired } from './protocol/lifetime'
import { coversScope } from './protocol/scope'
import { SignInDesk } from './sign-in/sign-in-desk'
import type { DiscoveredServer, GrantRecord, TokenSet } from './storage/record'
import type { DpopKeys } from './token-types/dpop-keys'
import type { Verbs } from './verbs'

interface Obtained {
  readonly kind: 'tokens'
  readonly tokens: TokenSet
  /** Whether they were issued for this need; others were there already and may not do for everybody who waited. */
  readonly earned: boolean
}

/** What silent work came to: tokens, or that a person is needed. */
type Silent = Obtained | { readonly kind: 'person'; readonly rejectedClient?: string }

/** Milliseconds in which a token that was refused and never accepted is not renewed again. */
const freshRefusal = 10_000
/** How often a need is looked at again when the shared outcome does not satisfy it. */
const maxRounds = 3

/**
 * Keeps one resource's tokens valid: hands out what memory holds, renews once for everybody, and asks a person only when
 * nothing else is left. With the sign-in desk and sign-out the only caller of
 * {@link OAuthContext.exclusive}.
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
  #refused: string | undefined
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
   * The token to use now, if memory holds one that is good; in its advisory window one background renewal begins. One
   * that cannot be renewed is good until it expires. Costs nothing: this is what every request with a valid token runs.
   */
  usable(): TokenSet | undefined {
    const tokens = this.#context.currentTokens
    if (tokens === undefined || !this.dpop.fit(tokens)) return undefined
    const now = this.#context.settings.now()
    const state = freshness(tokens, now)
    if (state === 'fresh') return tokens
    if (!this.canRenewSilently()) return isExpired(tokens, now) ? undefined : tokens
    if (state === 'expired') return undefined
    this.#renewInBackground()
    return tokens
  }

  /** Whether a token can be had without a challenge of the resource and without a person. */
  canRenewSilently(): boolean {
    if (this.#context.settings.grant.kind === 'silent') return this.#context.grant !== undefined
    return this.#context.canRefreshToken()
  }

  /** The resource has accepted this token. */
  noteAccepted(tokens: TokenSet): void {
    this.#accepted = tokens.access_token
  }

  /** The resource has refused this token, whatever follows from it. */
  noteRefused(tokens: TokenSet): void {
    this.#refused = tokens.access_token
  }

  /**
   * Whether a refused token may lead to a renewal. A token refused within 10 s of being issued, and never accepted in
   * between, may not: a server that refuses everything would otherwise be asked for tokens without end.
   */
  mayRenew(refused: TokenSet | undefined): boolean {
    if (refused === undefined || this.#accepted === refused.access_token) return true
    const current = this.#context.currentTokens
    if (current?.access_token !== refused.access_token) return true
    const age = this.#context.settings.now() - refused.issuedAt
    return age < 0 || age >= freshRefusal
  }

  /**
   * Tokens that satisfy the need: those of memory or store, a renewal shared with everybody who needs one, or a sign-in.
   * The signal ends this caller's wait only. Rejects with an `OAuthFlowError`, or with the signal's reason.
   */
  async obtain(need: Need, signal?: AbortSignal): Promise<TokenSet> {
    signal?.throwIfAborted()
    const atHand = this.usable()
    if (atHand !== undefined && this.#isGood(atHand, need)) return atHand
    const generation = this.#generation
    for (let round = 1; ; round += 1) {
      const outcome = await this.#obtainSilently(need, signal)
      if (generation !== this.#generation) throw this.desk.signedOutMeanwhile()
      const { tokens, earned } = outcome.kind === 'tokens' ? outcome : await this.#ask(need, outcome, signal)
      if (generation !== this.#generation) throw this.desk.signedOutMeanwhile()
      if (earned || this.#isGood(tokens, need) || round >= maxRounds) return tokens
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

  async #renewShared(need: Need, signal?: AbortSignal): Promise<Silent> {
    this.#context.reentrance.refuse('lock')
    return this.#silent.run(flightKey(need), () => this.#renew(need), signal)
  }

  /** A renewal that fails, for whatever reason, makes nobody fail whom the present token still serves. */
  async #obtainSilently(need: Need, signal?: AbortSignal): Promise<Silent> {
    try {
      return await this.#renewShared(need, signal)
    } catch (error) {
      const tokens = this.#context.currentTokens
      const serves = tokens !== undefined && this.#isGood(tokens, need)
      if (!serves || signal?.aborted === true || !isOAuthFlowError(error)) throw error
      return present(tokens)
    }
  }

  #renewInBackground(): void {
    const { grant, reentrance } = this.#context
    if (this.#silent.has(flightKey({})) || reentrance.isWithin('lock')) return
    if (grant !== undefined && this.#refresh.isPaused(grant)) return
    this.renewQuietly({ early: true }).catch(() => undefined)
  }

  /** Signs in, or joins the sign-in under way; one for another scope may not do. */
  async #ask(need: Need, { rejectedClient }: { rejectedClient?: string }, signal?: AbortSignal): Promise<Obtained> {
    const { pending = need.scope } = this.desk
    const tokens = await this.desk.signIn(rejectedClient === undefined ? need : { ...need, rejectedClient }, signal)
    return { kind: 'tokens', tokens, earned: pending === need.scope || coversScope(tokens.scope, need.scope) }
  }

  /** Under the lock: looks again at what is stored, adopts it if it satisfies the need, else renews. */
  #renew(need: Need): Promise<Silent> {
    return this.#context.exclusive(async (lease) => {
      await this.dpop.ready()
      const { current } = lease.tokens
      if (current !== undefined && this.#satisfies(current, need)) return present(current)
      if (this.#neverAccepted(current, need)) lease.metadata.expire()
      const grant = await this.#grantInForce(lease, need)
      const refreshed = grant === undefined ? undefined : await this.#refreshed(lease, grant, need)
      if (refreshed?.kind === 'tokens') return refreshed
      const { grant: configured } = this.#context.settings
      if (configured.kind === 'silent') return earned(await this.#presenter.present(lease, configured, need))
      const kept = lease.tokens.current
      return kept !== undefined && this.#isGood(kept, need) ? present(kept) : (refreshed ?? { kind: 'person' })
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
    const { known = grant.server } = metadata
    // After a refusal the resource may be back at a server that the session was with before, or still be with this one.
    const others = clients.several || !sameIssuer(known.issuer, grant.server.issuer)
    const inDoubt = this.#discovery.isInDoubt(lease, need) || (others && need.refusal !== undefined)
    const server = inDoubt ? await this.#discovery.discover(lease, need, { reread: true }) : known
    if (sameIssuer(server.issuer, grant.server.issuer))
      return inDoubt ? { ...grant, server: followed(grant, server) } : grant
    const former = await clients.at(server.issuer)
    return former.find((other) => other.tokens?.refresh_token !== undefined)
  }

  /** What a refresh came to; undefined when there is none to be had. A failure that settles nothing rejects. */
  async #refreshed(lease: Lease, grant: GrantRecord, need: Need): Promise<Silent | undefined> {
    const { current } = lease.tokens
    // RFC 6749 §6: a refresh never widens the scope.
    if (!coversScope(current?.scope, need.scope) || !(await this.#refresh.isPossible(grant))) return undefined
    const keepAccessToken = current !== undefined && this.#isAlive(current, need)
    const outcome = await this.#refresh.renew(lease, grant, { keepAccessToken })
    switch (outcome.kind) {
      case 'renewed':
        // The server may have issued the same token again: what was said of the old one is not said of it.
        this.#accepted = undefined
        return earned(outcome.tokens)
      case 'adopted':
        return present(outcome.tokens)
      case 'rejected':
        return undefined
      case 'client':
        if (grant.client.source !== 'dynamic') throw outcome.error
        return { kind: 'person', rejectedClient: grant.client.client_id }
      case 'transient':
        throw outcome.error
    }
  }

  /** Whether they do without a renewal. */
  #satisfies(tokens: TokenSet, need: Need): boolean {
    if (!this.#isGood(tokens, need)) return false
    const state = freshness(tokens, this.#context.settings.now(), need.minValidity)
    return state === 'fresh' || (state === 'renewable' && need.early !== true)
  }

  /** Whether they do although they could not be renewed. */
  #isGood(tokens: TokenSet, need: Need): boolean {
    const { scope, minValidity, signIn } = need
    if (signIn === true || !this.#isAlive(tokens, need) || !coversScope(tokens.scope, scope)) return false
    return !isExpired(tokens, this.#context.settings.now(), minValidity) && this.dpop.fit(tokens)
  }

  #isAlive(tokens: TokenSet, need: Need): boolean {
    return tokens.access_token !== need.refused && !isExpired(tokens, this.#context.settings.now())
  }

  #neverAccepted(current: TokenSet | undefined, need: Need): boolean {
    const token = current?.access_token
    return token !== undefined && token !== this.#accepted && (token === need.refused || token === this.#refused)
  }
}

function earned(tokens: TokenSet): Obtained {
  return { kind: 'tokens', tokens, earned: true }
}

function present(tokens: TokenSet): Obtained {
  return { kind: 'tokens', tokens, earned: false }
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

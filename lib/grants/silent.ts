import { callUser } from '../callback'
import { isOAuthFlowError, OAuthTokenError, type OAuthFlowError } from '../errors'
import type { Lease } from '../state/lease'
import type { Need } from '../need'
import { scopeToRequest } from '../sign-in/sign-in-scope'
import type { TokenSet } from '../storage/record'
import type { Verbs } from '../verbs'
import { emitAuthorized } from './authorized'
import type { SilentGrant } from './grant'
import { isOn, type Pause } from './pause'

interface Failure extends Pause {
  readonly error: OAuthFlowError
  /** Refusals in a row. */
  readonly refusals: number
}

/** Milliseconds without a new attempt after a failure, and the most that refusals in a row double it to. */
const pause = 3_000
const longestPause = 60_000
const rememberedFailures = 20

/**
 * Earns tokens by a silent grant: discovers, identifies the client, presents the grant once and stores the tokens. What
 * the server refuses is neither repeated nor replaced by another grant, and a queue of requests does not ask again and
 * again: for a while they all get the same error.
 */
export class GrantPresenter {
  readonly #verbs: Verbs
  readonly #failures = new Map<string, Failure>()

  constructor(verbs: Verbs) {
    this.#verbs = verbs
  }

  /** New tokens, or the error of a failure that is not long ago; who asks for a sign-in always gets a new attempt. */
  async present(lease: Lease, grant: SilentGrant, need: Need): Promise<TokenSet> {
    const { now } = this.#verbs.context.settings
    const wanted = need.scope ?? ''
    const failure = this.#failures.get(wanted)
    if (failure !== undefined && isOn(failure, now()) && need.signIn !== true) throw failure.error
    const startedAt = now()
    try {
      const tokens = await this.#present(lease, grant, need)
      this.#failures.delete(wanted)
      return tokens
    } catch (error) {
      if (error instanceof OAuthTokenError) this.#remember(wanted, error)
      if (isOAuthFlowError(error) && lease.tokens.current !== undefined) this.#report(error, startedAt)
      throw error
    }
  }

  async #present(lease: Lease, grant: SilentGrant, need: Need): Promise<TokenSet> {
    const { context, discovery, registrar, tokenEndpoint } = this.#verbs
    const { settings } = context
    const startedAt = settings.now()
    const server = await discovery.discover(lease, need)
    const scope = scopeToRequest(settings, need, server, lease.tokens.grant)
    const client = await registrar.register(lease, { server, scope, interactive: false })
    // A grant may ask another server first; each of its requests has the deadline of one.
    const parameters = await callUser(() => grant.parameters({ server, client, scope, context }), {
      name: 'parameters',
      within: 2 * settings.requestTimeout,
    })
    const obtained = await tokenEndpoint.request({
      server,
      client,
      parameters: { ...parameters, ...(scope === undefined ? {} : { scope }) },
      requestedScope: scope,
      issuedTokenType: grant.issuedTokenType,
    })
    // RFC 6749 §4.4.3: a refresh token that comes all the same is neither stored nor used.
    const { refresh_token: _unused, ...earned } = obtained
    const tokens = await lease.tokens.save({ server, client, tokens: earned, requestedScope: scope })
    emitAuthorized(context, { server, scope, tokens, refreshable: true, startedAt })
    return tokens
  }

  #remember(wanted: string, error: OAuthFlowError): void {
    const { now } = this.#verbs.context.settings
    const refusals = error.retryable ? 0 : (this.#failures.get(wanted)?.refusals ?? 0) + 1
    const wait = error.retryable
      ? Math.max(pause, error.retryAfter ?? 0)
      : Math.min(pause * 2 ** (refusals - 1), longestPause)
    this.#failures.delete(wanted)
    const since = now()
    this.#failures.set(wanted, { error, since, until: since + wait, refusals })
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > rememberedFailures && oldest !== undefined) this.#failures.delete(oldest)
  }

  #report({ code, retryable, retryAfter }: OAuthFlowError, startedAt: number): void {
    const { events, settings, server } = this.#verbs.context
    const { origin } = new URL(server?.issuer ?? settings.serverUrl)
    events.emit('refreshFailed', { origin, duration: settings.now() - startedAt, code, retryable, retryAfter })
  }
}

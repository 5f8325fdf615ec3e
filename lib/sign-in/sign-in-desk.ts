import type { OAuthContext } from '../context'
import {
  isOAuthFlowError,
  OAuthAuthorizationError,
  OAuthScopeError,
  type OAuthErrorDetails,
  type OAuthFlowError,
} from '../errors'
import type { OAuthEvents } from '../events'
import type { InteractiveFlow, SignIn } from '../grants/grant'
import { follow, SingleFlight, unlessAborted } from '../mutex'
import type { Need } from '../need'
import { parseAuthorizationResponse } from '../protocol/authorization'
import type { AuthorizationCallback } from '../options'
import type { TokenSet } from '../storage/record'
import type { Verbs } from '../verbs'

type Reason = OAuthEvents['authorizationRequired']['reason']

/** A visit that waits for the person, and how it can be ended from outside. */
interface Visit {
  readonly finished: (tokens: TokenSet) => void
  readonly stop: (error: OAuthFlowError) => void
}

/** Scopes for which a started sign-in is kept to be offered again. */
const maxOffers = 10

/**
 * Where people are asked: one sign-in at a time however many requests need it, without any lock while the person is
 * away. Where nobody can be asked it hands out one started transaction in an error.
 */
export class SignInDesk {
  readonly #context: OAuthContext
  readonly #flow: InteractiveFlow | undefined
  readonly #signIns = new SingleFlight<TokenSet>({ abandonable: true })
  readonly #offers = new SingleFlight<SignIn>()
  readonly #visits = new Map<string, Visit>()
  #pending: { readonly scope: string } | undefined
  /** Aborts when the session that sign-ins are for is over. */
  #over = new AbortController()
  /** Sign-ins that were offered in an error, by the scope they are for. */
  readonly #offered = new Map<string, SignIn>()

  constructor(verbs: Verbs) {
    const { grant } = verbs.context.settings
    this.#context = verbs.context
    this.#flow = grant.kind === 'interactive' ? grant.flow(verbs) : undefined
  }

  /** Signs in, or joins the sign-in under way; rejects at once when there is no way to ask a person. */
  async signIn(need: Need, signal?: AbortSignal): Promise<TokenSet> {
    if (this.#flow?.canAsk !== true) throw await this.#personNeeded(need)
    const wanted = need.scope ?? ''
    // A sign-in for another scope comes first; its tokens may do, which the caller finds out.
    const key = this.pending ?? wanted
    this.#context.reentrance.refuse('sign-in')
    return this.#signIns.run(key, (abandoned) => this.#interact(need, key, abandoned), signal)
  }

  /** The scope that a sign-in under way was begun for; an empty text for none in particular. */
  get pending(): string | undefined {
    return this.#pending?.scope
  }

  /** Starts a sign-in that somebody else finishes, perhaps in another process. */
  async start(need: Need): Promise<{ url: string; state: string }> {
    const { authorizationUrl, state } = await this.#begin(need)
    if (authorizationUrl !== undefined && state !== undefined) return { url: authorizationUrl, state }
    throw this.#withoutUrl()
  }

  /** Finishes a sign-in with the callback that the person's browser brought. */
  async finish(callback: AuthorizationCallback): Promise<void> {
    const flow = this.#flow
    if (flow === undefined) throw this.#withoutUrl()
    const { state = '' } = parseAuthorizationResponse(callback)
    try {
      const tokens = await this.#context.exclusive((lease) => flow.complete(lease, callback))
      this.#offered.clear()
      this.#visits.get(state)?.finished(tokens)
    } catch (error) {
      const visit = this.#visits.get(state)
      const isOpen = visit && (await this.#context.exclusive((lease) => lease.transactions.isOpen(state)))
      if (isOpen === false && isOAuthFlowError(error)) visit?.stop(error)
      throw error
    }
  }

  /** Ends every wait for a person: the session is over. */
  reset(): void {
    this.#offered.clear()
    this.#over.abort(this.signedOutMeanwhile())
    this.#over = new AbortController()
  }

  signedOutMeanwhile(): OAuthAuthorizationError {
    return new OAuthAuthorizationError('The session was signed out while a token was being obtained.', {
      code: 'OAUTH_ABORTED',
      hint: 'Call authorize() to sign in again.',
    })
  }

  async #interact(need: Need, key: string, abandoned: AbortSignal): Promise<TokenSet> {
    const own = { scope: key }
    this.#pending = own
    const ending = new AbortController()
    const stopFollowing = [abandoned, this.#over.signal].map((signal) => follow(signal, ending))
    try {
      return await this.#ask(need, ending.signal)
    } finally {
      for (const stop of stopFollowing) stop()
      // One that was abandoned cleans up while the next one may be under way.
      if (this.#pending === own) this.#pending = undefined
    }
  }

  async #ask(need: Need, abandoned: AbortSignal): Promise<TokenSet> {
    const flow = this.#flow
    if (flow === undefined) throw this.#withoutUrl()
    const signIn = await this.#begin(need)
    if (!abandoned.aborted) this.#tell(need, signIn, true)
    let answer: unknown
    try {
      const outcome = await this.#visit(flow, signIn, abandoned)
      if (outcome.finished !== undefined) return outcome.finished
      answer = outcome.answer
    } catch (error) {
      await this.#context.exclusive((lease) => flow.abandon(lease, signIn))
      throw error
    }
    try {
      const tokens = await this.#context.exclusive((lease) => {
        abandoned.throwIfAborted()
        return flow.complete(lease, answer)
      })
      this.#offered.clear()
      return tokens
    } catch (error) {
      // A registration that worked before and is unknown by now is made anew, once.
      if (!isForgotten(signIn, error) || need.rejectedClient !== undefined) throw error
      return this.#ask({ ...need, rejectedClient: signIn.client.client_id }, abandoned)
    }
  }

  async #begin(need: Need): Promise<SignIn> {
    const flow = this.#flow
    if (flow === undefined) throw this.#withoutUrl()
    return this.#context.exclusive((lease) => flow.begin(lease, need))
  }

  /** Waits for the person until the deadline, an abort, or a callback that came in another way. */
  async #visit(
    flow: InteractiveFlow,
    signIn: SignIn,
    abandoned: AbortSignal,
  ): Promise<{ answer?: unknown; finished?: TokenSet }> {
    const id = signIn.state ?? ''
    const ending = new AbortController()
    const { timeout } = this.#context.settings
    const timer = setTimeout(() => ending.abort(callbackTimeout(timeout)), Math.min(timeout, 2 ** 31 - 1))
    const onAbandoned = (): void => ending.abort(abandoned.reason)
    abandoned.addEventListener('abort', onAbandoned, { once: true })
    if (abandoned.aborted) onAbandoned()
    const elsewhere = new Promise<{ finished: TokenSet }>((resolve) => {
      const stop = (error: OAuthFlowError): void => ending.abort(error)
      this.#visits.set(id, { finished: (tokens) => resolve({ finished: tokens }), stop })
    })
    try {
      const { reentrance } = this.#context
      const visit = reentrance.run('sign-in', () => flow.visit(signIn, ending.signal)).then((answer) => ({ answer }))
      return await unlessAborted(Promise.race([visit, elsewhere]), ending.signal)
    } finally {
      clearTimeout(timer)
      abandoned.removeEventListener('abort', onAbandoned)
      this.#visits.delete(id)
      ending.abort()
    }
  }

  /** One transaction is started for all rejections, until it is over: a queue of requests is one sign-in. */
  async #personNeeded(need: Need): Promise<OAuthFlowError> {
    const wanted = need.scope ?? ''
    const offer = await this.#offers.run(
      wanted,
      async () => (await this.#standingOffer(wanted)) ?? this.#newOffer(need, wanted),
    )
    return personNeeded(this.#reason(need), offer, need)
  }

  /** The offer that can still be taken: another process may have finished its sign-in. */
  async #standingOffer(wanted: string): Promise<SignIn | undefined> {
    const offer = this.#offered.get(wanted)
    if (offer === undefined || this.#context.settings.now() >= offer.expiresAt) return undefined
    const { state } = offer
    const isOpen = state === undefined || (await this.#context.exclusive((lease) => lease.transactions.isOpen(state)))
    return isOpen ? offer : undefined
  }

  async #newOffer(need: Need, wanted: string): Promise<SignIn> {
    const offer = await this.#begin(need)
    this.#tell(need, offer, false)
    this.#offered.delete(wanted)
    this.#offered.set(wanted, offer)
    const [oldest] = this.#offered.keys()
    if (this.#offered.size > maxOffers && oldest !== undefined) this.#offered.delete(oldest)
    return offer
  }

  #reason(need: Need): Reason {
    const { grant } = this.#context
    if (need.scope !== undefined && grant?.tokens !== undefined) return 'step-up'
    return grant?.tokens !== undefined || grant?.endedAt !== undefined ? 'session-ended' : 'no-session'
  }

  #tell(need: Need, { server, scope }: SignIn, asking: boolean): void {
    const { issuer } = server
    const told = { origin: new URL(issuer).origin, duration: 0, issuer, scope }
    this.#context.events.emit('authorizationRequired', { ...told, reason: this.#reason(need), asking })
  }

  #withoutUrl(): OAuthAuthorizationError {
    return new OAuthAuthorizationError(`The grant ${this.#context.settings.grant.name} has no sign-in page.`, {
      code: 'OAUTH_CONFLICT',
      hint: 'startAuthorization() and finishAuthorization() belong to authorizationCode().',
    })
  }
}

function isForgotten({ client }: SignIn, error: unknown): boolean {
  const isUnknown = isOAuthFlowError(error) && error.oauthError === 'invalid_client'
  return isUnknown && client.source === 'dynamic' && client.proven === true
}

function personNeeded(reason: Reason, { server, authorizationUrl, state }: SignIn, need: Need): OAuthFlowError {
  const details: OAuthErrorDetails = {
    code: reason === 'session-ended' ? 'OAUTH_REAUTH_REQUIRED' : 'OAUTH_AUTHORIZATION_REQUIRED',
    endpoint: server.issuer,
    authorizationUrl,
    state,
    hint: 'Send the person to error.authorizationUrl and hand the callback to finishAuthorization(), or configure a receiver.',
  }
  const host = new URL(server.issuer).host
  if (reason === 'step-up') {
    const requiredScope = need.scope
    return new OAuthScopeError(`A person must allow more access at ${host}, and nobody can be asked.`, {
      ...details,
      requiredScope,
    })
  }
  const what = reason === 'session-ended' ? 'The session has ended' : 'There is no session'
  return new OAuthAuthorizationError(`${what}; a person must sign in at ${host}, and nobody can be asked.`, details)
}

function callbackTimeout(ms: number): OAuthAuthorizationError {
  return new OAuthAuthorizationError(`Nobody finished signing in within ${ms} ms.`, {
    code: 'OAUTH_CALLBACK_TIMEOUT',
    hint: 'Try again, or raise the option `timeout`.',
  })
}

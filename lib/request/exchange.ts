import type { AxiosAdapter, AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import type { Attachment } from './attachment'
import { prepareBody, type Replay } from './body'
import { isOAuthFlowError } from '../errors'
import { unlessAborted } from '../mutex'
import type { Need, Refusal } from '../need'
import { answeringUrl, deliver, discard, type Answered, type Outcome } from './outcome'
import { patienceOf, type Patience } from './patience'
import { readChallenge } from '../protocol/challenge'
import { finalUrl } from './protected-urls'
import { explain, notReplayable, stillRefused, withResponse } from './refused-request'
import { dress } from './request-dress'
import type { ResourceClient } from './resource-client'
import type { TokenSet } from '../storage/record'
import { headerOf, type PresentationFault } from '../token-types/token-type'

/**
 * One request of the application: send, and if the resource refuses the token, renew and send once more; if it asks for
 * more scope, widen and send once more. The application's interceptors and transforms run around it, once.
 */
export class Exchange {
  readonly #client: ResourceClient
  readonly #config: InternalAxiosRequestConfig
  readonly #send: AxiosAdapter
  readonly #attachment: Attachment
  #patience: Patience | undefined
  #replay: Replay = 'possible'
  #renewed = false
  #presentedAgain = false
  #widened = false

  constructor(o: {
    client: ResourceClient
    config: InternalAxiosRequestConfig
    send: AxiosAdapter
    attachment: Attachment
  }) {
    this.#client = o.client
    this.#config = o.config
    this.#send = o.send
    this.#attachment = o.attachment
  }

  /** Sends with a token that is at hand and a body that can be sent again: dispatched before this returns. */
  runAtOnce(tokens: TokenSet): Promise<AxiosResponse> {
    return this.#attempt(tokens).then((outcome) =>
      this.#isDone(outcome, tokens) ? deliver(outcome) : this.#ending(() => this.#untilDone(outcome, tokens)),
    )
  }

  /** Prepares body and token first. */
  async run(): Promise<AxiosResponse> {
    const data: unknown = this.#config.data
    try {
      return await this.#ending(async () => {
        this.#replay = await prepareBody(this.#config)
        const tokens = await this.#tokensToSend()
        return this.#untilDone(await this.#attempt(tokens), tokens)
      })
    } finally {
      this.#config.data = data
    }
  }

  /** Notes a failure of what is left to do, and lets go of whatever it waited with. */
  async #ending(work: () => Promise<AxiosResponse>): Promise<AxiosResponse> {
    try {
      return await work()
    } catch (error) {
      throw this.#client.noteFailure(error)
    } finally {
      this.#patience?.end()
    }
  }

  async #untilDone(first: Outcome, sent: TokenSet | undefined): Promise<AxiosResponse> {
    let outcome = first
    let tokens = sent
    for (;;) {
      const next = this.#isDone(outcome, tokens) ? undefined : await this.#next(outcome, tokens)
      if (next === undefined) return deliver(outcome)
      tokens = next
      outcome = await this.#attempt(next)
    }
  }

  #isDone({ response }: Outcome, tokens: TokenSet | undefined): boolean {
    if (response === undefined) return true
    const refused = response.status === 401 || this.#client.isUnauthorized(response)
    if (!refused && tokens !== undefined && response.status < 500) this.#client.source.noteAccepted(tokens)
    return !refused && response.status !== 403
  }

  /** The tokens for another sending, or undefined when the answer is the caller's. */
  async #next({ response, error }: Outcome, tokens: TokenSet | undefined): Promise<TokenSet | undefined> {
    if (response === undefined || !this.#isOfResource(response)) return undefined
    const refusal = this.#refusal(response, tokens)
    const fault = tokens && this.#client.tokenType(tokens).faultOf?.(response, refusal)
    if (fault !== undefined) return this.#mayPresentAgain({ response, error }, fault) ? tokens : undefined
    return response.status === 403 && !this.#client.isUnauthorized(response)
      ? this.#widen(response, refusal, tokens)
      : this.#renew({ response, error }, refusal, tokens)
  }

  /** The refusal is not about the token: the same one is sent once more, which is no renewal. */
  #mayPresentAgain({ response, error }: Answered, { remedy, reason }: PresentationFault): boolean {
    if (remedy === 'reject') throw withResponse(reason, response)
    if (remedy === 'give-back' || this.#presentedAgain) {
      explain(error, reason)
      return false
    }
    this.#presentedAgain = true
    discard(response)
    if (this.#replay === 'possible') return true
    throw withResponse(notReplayable(this.#config, 'The token must be presented again'), response)
  }

  async #renew(
    { response, error }: Answered,
    refusal: Refusal | undefined,
    tokens: TokenSet | undefined,
  ): Promise<TokenSet | undefined> {
    const { source } = this.#client
    if (tokens !== undefined) source.noteRefused(tokens)
    if (this.#renewed || !source.mayRenew(tokens)) {
      if (tokens !== undefined) explain(error, stillRefused(this.#config, tokens, refusal))
      return undefined
    }
    this.#renewed = true
    discard(response)
    const need: Need = {
      ...this.#need(this.#client.recall(refusal, finalUrl(this.#config))),
      ...(tokens === undefined ? {} : { refused: tokens.access_token }),
    }
    if (this.#replay === 'impossible') {
      await this.#wait(source.renewQuietly(need))
      throw withResponse(notReplayable(this.#config), response)
    }
    return this.#obtain(source.obtain(need, this.#signal()), response)
  }

  async #widen(
    response: AxiosResponse,
    refusal: Refusal | undefined,
    tokens: TokenSet | undefined,
  ): Promise<TokenSet | undefined> {
    const scope = this.#widened ? undefined : this.#client.stepUp.wanted(refusal, tokens)
    if (scope === undefined) return undefined
    this.#widened = true
    discard(response)
    const wider = await this.#obtain(this.#client.stepUp.widen(scope, this.#need(refusal), this.#signal()), response)
    if (this.#replay === 'possible') return wider
    throw withResponse(notReplayable(this.#config, 'More access was needed'), response)
  }

  /** What to send with at first: nothing, when there is no token and the body allows to hear the challenge. */
  async #tokensToSend(): Promise<TokenSet | undefined> {
    const { source, stepUp } = this.#client
    await this.#wait(source.load())
    const { oauth } = this.#config
    const declared = typeof oauth === 'object' ? oauth?.scope : undefined
    const scope = declared === undefined ? undefined : stepUp.missing(declared)
    if (scope !== undefined) {
      this.#widened = true
      return stepUp.widen(scope, this.#need(undefined), this.#signal())
    }
    const usable = source.usable()
    if (usable !== undefined) return usable
    if (!source.canRenewSilently() && this.#replay === 'possible') return undefined
    return source.obtain(this.#need(undefined), this.#signal())
  }

  /** Sends once. With a bearer token the request is dispatched before this returns. */
  async #attempt(tokens: TokenSet | undefined): Promise<Outcome> {
    const tokenType = this.#client.tokenType(tokens)
    const undress = tokens === undefined ? undefined : dress(this.#config, tokenType, this.#client)
    try {
      const presented = tokens && tokenType.present(this.#config, tokens)
      if (presented !== undefined) await presented
      const response = await this.#send(this.#config)
      undress?.()
      tokenType.note?.(this.#config, response)
      return { response }
    } catch (error) {
      undress?.()
      const { response } = (error ?? {}) as { response?: AxiosResponse }
      if (response === undefined) return { error: error as Error }
      tokenType.note?.(this.#config, response)
      return { error: error as Error, response }
    }
  }

  async #obtain(tokens: Promise<TokenSet>, response: AxiosResponse): Promise<TokenSet> {
    try {
      return await tokens
    } catch (error) {
      throw isOAuthFlowError(error) ? withResponse(error, response) : error
    }
  }

  #need(refusal: Refusal | undefined): Need {
    const protocolVersion: unknown = this.#config.headers.get('MCP-Protocol-Version')
    return {
      ...(refusal === undefined ? {} : { refusal }),
      ...(typeof protocolVersion === 'string' ? { protocolVersion } : {}),
    }
  }

  #refusal(response: AxiosResponse, tokens: TokenSet | undefined): Refusal | undefined {
    const scheme = tokens?.token_type ?? this.#client.preferredScheme
    const challenge = readChallenge((name) => headerOf(response, name), scheme)
    const url = answeringUrl(response) ?? finalUrl(this.#config) ?? ''
    return challenge === undefined ? undefined : { ...challenge, url }
  }

  /** Behind a redirect somebody else may have answered: his refusal is not about our token, nor his challenge about us. */
  #isOfResource(response: AxiosResponse): boolean {
    const url = answeringUrl(response)
    return url === undefined || this.#client.urls.placeOf(url) !== 'outside'
  }

  #signal(): AbortSignal {
    this.#patience ??= patienceOf(this.#config, this.#attachment)
    return this.#patience.signal
  }

  #wait<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(promise, this.#signal())
  }
}

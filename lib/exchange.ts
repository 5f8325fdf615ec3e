import type { AxiosAdapter, AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import type { Attachment } from './attachment'
import { prepareBody, type Replay } from './body'
import { isOAuthFlowError, OAuthFlowError } from './errors'
import type { Need, Refusal } from './need'
import { patienceOf, type Patience } from './patience'
import { readChallenge } from './protocol/challenge'
import { redactError, redactResponse } from './redact'
import { dress } from './request-dress'
import { finalUrl } from './protected-urls'
import type { ResourceClient } from './resource-client'
import type { TokenSet } from './storage/record'
import { headerOf, type PresentationFault } from './token-types/token-type'

interface Answered {
  readonly response: AxiosResponse
  readonly error: Error | undefined
}

/** What one sending came to: a response, with the error that axios made of it if it did, or only an error. */
interface Outcome {
  readonly response?: AxiosResponse
  readonly error?: Error
}

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
      this.#isDone(outcome, tokens) ? deliver(outcome) : this.#goOn(outcome, tokens),
    )
  }

  /** Prepares body and token first. */
  async run(): Promise<AxiosResponse> {
    const data: unknown = this.#config.data
    try {
      this.#replay = await prepareBody(this.#config)
      const tokens = await this.#tokensToSend()
      return await this.#untilDone(await this.#attempt(tokens), tokens)
    } finally {
      this.#config.data = data
      this.#patience?.end()
    }
  }

  async #goOn(outcome: Outcome, tokens: TokenSet): Promise<AxiosResponse> {
    try {
      return await this.#untilDone(outcome, tokens)
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
    if (response === undefined) return undefined
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
    if (this.#renewed || !source.mayRenew(tokens)) {
      if (tokens !== undefined) explain(error, stillRefused(this.#config, tokens, refusal))
      return undefined
    }
    this.#renewed = true
    discard(response)
    const need: Need = { ...this.#need(refusal), ...(tokens === undefined ? {} : { refused: tokens.access_token }) }
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
    if (this.#replay === 'impossible') throw withResponse(notReplayable(this.#config), response)
    return this.#obtain(this.#client.stepUp.widen(scope, this.#need(refusal), this.#signal()), response)
  }

  /** What to send with at first: nothing, when there is no token and the body allows to hear the challenge. */
  async #tokensToSend(): Promise<TokenSet | undefined> {
    const { source } = this.#client
    await this.#wait(source.load())
    const { oauth } = this.#config
    const scope = typeof oauth === 'object' ? oauth.scope : undefined
    if (scope !== undefined) return source.obtain({ ...this.#need(undefined), scope }, this.#signal())
    const usable = source.usable()
    if (usable !== undefined) return usable
    if (!source.canObtainSilently() && this.#replay === 'possible') return undefined
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
    return challenge === undefined ? undefined : { ...challenge, url: finalUrl(this.#config) ?? '' }
  }

  #signal(): AbortSignal {
    this.#patience ??= patienceOf(this.#config, this.#attachment)
    return this.#patience.signal
  }

  #wait<T>(promise: Promise<T>): Promise<T> {
    const signal = this.#signal()
    return this.#client.waitFor(promise, signal)
  }
}

function deliver({ response, error }: Outcome): AxiosResponse {
  if (error !== undefined) throw redactError((response === undefined && ownFailureWithin(error)) || error)
  return redactResponse(response as AxiosResponse)
}

/** A redirect that the policy refused arrives wrapped in the errors of the HTTP client. */
function ownFailureWithin(error: unknown): OAuthFlowError | undefined {
  let inner: unknown = error
  for (let depth = 0; depth < 5 && typeof inner === 'object' && inner !== null; depth += 1) {
    if (isOAuthFlowError(inner)) return inner
    inner = (inner as { cause?: unknown }).cause
  }
  return undefined
}

/** The 401 is the caller's; its `cause` says why nothing more was tried. */
function explain(error: Error | undefined, reason: OAuthFlowError): void {
  if (error !== undefined && error.cause === undefined) error.cause = reason
}

function stillRefused(
  config: InternalAxiosRequestConfig,
  { token_type: type }: TokenSet,
  refusal: Refusal | undefined,
): OAuthFlowError {
  if (type === 'Bearer' && refusal?.scheme === 'DPoP') {
    return new OAuthFlowError('The resource takes tokens bound to a key only, and this one is not.', {
      code: 'OAUTH_DPOP_UNSUPPORTED',
      endpoint: finalUrl(config),
      status: 401,
      hint: "Set `dpop: 'required'`; where it is set, the authorization server does not bind tokens.",
    })
  }
  return new OAuthFlowError('The resource refuses a token that was issued for it moments ago.', {
    code: 'OAUTH_LOOP',
    endpoint: finalUrl(config),
    status: 401,
    hint: 'Compare scope and audience of the token with what the resource expects, and the clocks of both servers.',
  })
}

/** Frees the socket of an answer that nobody will read. */
function discard({ data }: AxiosResponse<unknown>): void {
  if (typeof data !== 'object' || data === null) return
  const { destroy, cancel } = data as { destroy?: () => void; cancel?: () => Promise<void> }
  if (typeof destroy === 'function') destroy.call(data)
  else if (typeof cancel === 'function') cancel.call(data).catch(() => undefined)
}

function withResponse(error: OAuthFlowError, response: AxiosResponse): OAuthFlowError {
  OAuthFlowError.attachResponse(error, redactResponse(response))
  return error
}

function notReplayable(config: InternalAxiosRequestConfig, reason = 'The token was refused'): OAuthFlowError {
  return new OAuthFlowError(`${reason} and the request cannot be sent again: its body is a consumed stream.`, {
    code: 'OAUTH_NOT_REPLAYABLE',
    endpoint: finalUrl(config),
    hint: 'Send the request again with a new stream; what was missing is there by now.',
  })
}

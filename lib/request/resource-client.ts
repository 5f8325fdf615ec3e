import type { AxiosInstance, AxiosResponse } from 'axios'
import { isOAuthFlowError, type OAuthErrorCode } from '../errors'
import type { Refusal } from '../need'
import { finalUrl, ProtectedUrls } from './protected-urls'
import { redirectPolicy, type BeforeRedirect } from './redirects'
import { StepUp } from '../step-up'
import type { TokenSource } from '../token-source'
import type { TokenSet } from '../storage/record'
import { bearer } from '../token-types/bearer'
import { DpopTokenType } from '../token-types/dpop'
import type { TokenType } from '../token-types/token-type'

/** What failed last, for a report. */
export interface LastFailure {
  readonly code: OAuthErrorCode
  readonly message: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What the adapter needs of a provider: where tokens come from, where they may go, and how they are presented. */
export class ResourceClient {
  readonly source: TokenSource
  readonly urls: ProtectedUrls
  readonly stepUp: StepUp
  readonly #dpop: TokenType
  readonly redirectPolicy: BeforeRedirect
  /** The instance that last carried a request for a provider that is attached to none. */
  carrier: AxiosInstance | undefined
  #lastFailure: LastFailure | undefined
  #announcedScope: string | undefined

  constructor(source: TokenSource) {
    this.source = source
    this.urls = new ProtectedUrls(source.context)
    this.stepUp = new StepUp(source)
    const { dpop: keys, context } = source
    this.redirectPolicy = redirectPolicy(this.urls, context.settings.serverUrl)
    this.#dpop = new DpopTokenType({ keys, settings: context.settings, urlOf: finalUrl })
  }

  /** How tokens are presented. Without tokens: how the next ones may have to be. */
  tokenType(tokens: TokenSet | undefined): TokenType {
    return tokens === undefined || tokens.token_type === 'DPoP' ? this.#dpop : bearer
  }

  /** The scheme whose challenge is read first when a request carried no token. */
  get preferredScheme(): 'Bearer' | undefined {
    const { dpop = false } = this.source.context.settings
    return dpop === false ? 'Bearer' : undefined
  }

  /** Whether the user's hook takes an answer for a refused token; a hook that throws says no. */
  isUnauthorized(response: AxiosResponse): boolean {
    const { isUnauthorized } = this.source.context.settings
    if (isUnauthorized === undefined) return false
    try {
      return isUnauthorized(asTransformed(response))
    } catch {
      return false
    }
  }

  /** A refusal with the scope announced before, where it names none: a later challenge does not erase an earlier one. */
  recall(refusal: Refusal | undefined, url: string = ''): Refusal | undefined {
    const scope = (this.#announcedScope = refusal?.scope ?? this.#announcedScope)
    if (scope === undefined) return refusal
    return { scheme: 'Bearer', resourceMetadata: [], dpopErrors: false, url, ...refusal, scope }
  }

  get lastFailure(): LastFailure | undefined {
    return this.#lastFailure
  }

  /** Notes a failure of ours on its way to the caller; gives it back. */
  noteFailure(error: unknown): unknown {
    if (isOAuthFlowError(error)) {
      const { code, message } = error
      this.#lastFailure = { code, message, at: this.source.context.settings.now() }
    }
    return error
  }
}

/** The response as the hook expects it: the application's transforms run later, so JSON is still text here. */
function asTransformed(response: AxiosResponse<unknown>): AxiosResponse {
  const { data, config } = response
  if (typeof data !== 'string' || (config.responseType ?? 'json') !== 'json') return response
  return Object.defineProperty({ ...response }, 'data', { enumerable: true, get: () => parsed(data) })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import type { OAuthFlowError } from '../errors'
import { rawHeader } from '../http'
import type { Refusal } from '../need'
import type { TokenSet } from '../storage/record'

/**
 * What a refusal says when it is about the presentation and not about the token. `present-again`: the same token may be
 * accepted when it is presented anew, which is tried once; `give-back`: the refusal is the caller's, with the reason as
 * its cause; `reject`: the request rejects with the reason.
 */
export interface PresentationFault {
  readonly remedy: 'present-again' | 'give-back' | 'reject'
  readonly reason: OAuthFlowError
}

/** How a token is presented to the resource. */
export interface TokenType {
  /** Whether redirects may be followed with what {@link present} put on the request. */
  readonly followsRedirects: boolean
  /** Puts the credentials of one attempt on the request's own headers. */
  present(config: InternalAxiosRequestConfig, tokens: TokenSet): void | Promise<void>
  /** Takes them off again, so that nobody is handed them with the config. */
  withdraw(config: InternalAxiosRequestConfig): void
  /** Notes what a response, of whatever status, hands out for the presentations to come. */
  note?(config: InternalAxiosRequestConfig, response: AxiosResponse): void
  /** What a 401 says about the presentation; undefined: it is about the token. */
  faultOf?(response: AxiosResponse, refusal: Refusal | undefined): PresentationFault | undefined
}

/** Reads a header of a response. */
export function headerOf(response: AxiosResponse, name: string): unknown {
  return rawHeader(response.headers, name)
}

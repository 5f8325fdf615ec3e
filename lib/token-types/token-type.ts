import type { InternalAxiosRequestConfig } from 'axios'
import type { TokenSet } from '../storage/record'

/** How a token is presented to the resource. */
export interface TokenType {
  /** Puts the credentials of one attempt on the request's own headers. */
  present(config: InternalAxiosRequestConfig, tokens: TokenSet): void | Promise<void>
  /** Takes them off again, so that nobody is handed them with the config. */
  withdraw(config: InternalAxiosRequestConfig): void
}

import type { KnownClient } from '../storage/record'

/** A request to the authorization server that the client authenticates: change `headers` and `body` in place. */
export interface AuthenticatedRequest {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: URLSearchParams
}

/** What an authentication may know. */
export interface AuthenticationContext {
  readonly client: KnownClient
  readonly issuer: string
}

/** How a client proves who it is (RFC 6749 §2.3): a function that adds its proof to a request. */
export type ClientAuthentication = (
  request: AuthenticatedRequest,
  context: AuthenticationContext,
) => void | Promise<void>

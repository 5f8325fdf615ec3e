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
  /** Algorithms for signed assertions that the server lists; undefined: it does not say. */
  readonly signingAlgorithms?: readonly string[] | undefined
  /** The clock, in milliseconds since the epoch, and by how much it may be wrong. */
  readonly now: () => number
  readonly clockTolerance: number
  readonly random: (bytes: number) => Uint8Array
}

/** How a client proves who it is (RFC 6749 §2.3): a function that adds its proof to a request. */
export type ClientAuthentication = (
  request: AuthenticatedRequest,
  context: AuthenticationContext,
) => void | Promise<void>

import type { AxiosResponse } from 'axios'
import type { ClientAuthentication } from './client-authentication/client-authentication'
import type { ClientKey } from './client-authentication/client-key'
import type { DpopOption } from './dpop-option'
import type { Grant } from './grants/grant'
import type { AuthorizationServerMetadata } from './protocol/metadata'
import type { ClientMetadata } from './protocol/registration'
import type { ResourceMatch } from './protocol/resource'
import type { AuthorizationReceiver } from './receiver'
import type { TokenStorage } from './storage/token-storage'

/** A client that the user registered beforehand. Members of RFC 7591 keep their names. */
export interface ClientInformation extends ClientKey {
  readonly client_id: string
  readonly client_secret?: string
  /** The only authorization server that may see this client's credentials. Configure it whenever there is a secret. */
  readonly issuer?: string
  readonly token_endpoint_auth_method?: string
  readonly redirect_uris?: readonly string[]
  /** How Basic encodes id and secret: as RFC 6749 says (`form`), or raw for servers that get it wrong. @default 'form' */
  readonly basic_encoding?: 'form' | 'raw'
  readonly [member: string]: unknown
}

/** What a callback handler may return: the callback URL, its query, or the members of it. */
export type AuthorizationCallback =
  | string
  | URL
  | URLSearchParams
  | { readonly code: string; readonly state?: string | null; readonly iss?: string | null }

/** The options of a provider. Durations are milliseconds; what goes over the wire keeps its RFC name. */
export interface OAuthOptions {
  /** The protected resource: MCP server URL or API base. @default the instance's `baseURL` */
  readonly serverUrl?: string
  /** How tokens are earned. @default authorizationCode() */
  readonly grant?: Grant
  /** What dynamic registration says about this client (RFC 7591 §2). */
  readonly clientMetadata?: ClientMetadata
  /** URL of a Client ID Metadata Document: https with a path; used where the server supports it. */
  readonly clientMetadataUrl?: string
  /** A client registered beforehand. */
  readonly clientInformation?: ClientInformation
  /**
   * What a client that is not registered beforehand signs with: of `clientMetadataUrl`, whose document must have the
   * public key and say `private_key_jwt`, or of a dynamic registration with `jwks` or `jwks_uri` in `clientMetadata`.
   */
  readonly clientKey?: ClientKey
  /** Where sessions live. @default new MemoryTokenStorage() */
  readonly storage?: TokenStorage
  /** User or tenant: two partitions never share a record. */
  readonly partition?: string
  /** Shows the authorization URL to the person, for example by opening a browser. */
  readonly redirectHandler?: (url: string) => void | Promise<void>
  /** Waits for the callback that carries `state`; must end when the signal aborts. */
  readonly callbackHandler?: (o: { state: string; signal: AbortSignal }) => Promise<AuthorizationCallback>
  /** Redirect URI and both handlers in one; `loopbackReceiver()` of `axios-oauth2/node` is one. */
  readonly receiver?: AuthorizationReceiver
  /** Milliseconds to wait for the person. @default 300_000 */
  readonly timeout?: number
  /** Milliseconds for each of the library's own requests, headers and body together. @default 10_000 */
  readonly requestTimeout?: number
  /** Scope to ask for. Wins over the metadata's `scopes_supported`; joined to what a challenge asks for. */
  readonly scope?: string
  /** Scope that is never exceeded. */
  readonly scopeCeiling?: string
  /** What a 403 `insufficient_scope` leads to: a wider sign-in, a typed error, or nothing. @default 'auto' */
  readonly stepUp?: 'auto' | 'throw' | 'off'
  /** The one authorization server to use. */
  readonly issuer?: string
  /** The authorization server's metadata; none is requested then. */
  readonly authorizationServerMetadata?: AuthorizationServerMetadata
  /** Chooses among the authorization servers that the resource names. @default the first */
  readonly selectAuthorizationServer?: (issuers: readonly string[]) => string
  /** The `resource` parameter (RFC 8707): as the resource's metadata spells it, this string, or none. @default 'auto' */
  readonly resource?: string | false
  /** Whether the resource may name a parent of the server URL. @default 'parent' */
  readonly resourceMatch?: ResourceMatch
  /** Parameters added to the authorization URL: audience, login_hint, prompt. */
  readonly authorizeParams?: Readonly<Record<string, string>>
  /** Parameters added to token requests. */
  readonly tokenParams?: Readonly<Record<string, string>>
  /**
   * Binds tokens to a key of this provider (RFC 9449), so that a stolen one is of no use: `true`, wherever the server can;
   * `'required'`, or not at all; `false`, never. @default off, unless the resource's metadata requires it
   */
  readonly dpop?: DpopOption
  /** Changes a token request after everything else; its result is sent as it is. */
  readonly clientAuthentication?: ClientAuthentication
  /** Further origins, or origins with a path, that may receive the token. @default the resource only */
  readonly origins?: readonly string[]
  /** Servers of 2025-03-26 without resource metadata: follow them, or not. @default 'auto' */
  readonly legacy?: 'auto' | 'off'
  /** Issuers accepted in a document or callback although another one was expected. */
  readonly trustedIssuers?: readonly string[]
  /** Issuers that support PKCE with S256 and do not say so. */
  readonly assumePkceSupport?: readonly string[]
  /** Authorization endpoints on hosts unrelated to their issuer that are trusted without `iss` (RFC 9207). */
  readonly trustedEndpoints?: readonly string[]
  /** Lets a public server name private, link-local and loopback addresses. @default false */
  readonly allowPrivateAddresses?: boolean
  /** Bearer token for servers that guard registration (RFC 7591 §3). */
  readonly initialAccessToken?: string | (() => string | Promise<string>)
  /**
   * Milliseconds by which the clock of this machine may be wrong: what it signs is dated back, and lives longer, by as
   * much. @default 0
   */
  readonly clockTolerance?: number
  /** Milliseconds that discovery results are trusted. @default 86_400_000 */
  readonly metadataMaxAge?: number
  /** Says of an answer other than 401 that it refuses the token. */
  readonly isUnauthorized?: (response: AxiosResponse) => boolean
  /** Reshapes a token response before it is checked, for servers that nest or rename members. */
  readonly transformTokenResponse?: (body: unknown) => unknown
  /** The clock, in milliseconds since the epoch. @default Date.now */
  readonly now?: () => number
  /** Random bytes. @default crypto.getRandomValues */
  readonly random?: (bytes: number) => Uint8Array
}

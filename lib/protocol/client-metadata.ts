import { quote } from '../errors'
import { isLoopbackHost } from './address'

/** What a client says about itself when it registers (RFC 7591 §2). Further members are sent as they are. */
export interface ClientMetadata {
  readonly redirect_uris?: readonly string[]
  readonly client_name?: string
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly scope?: string
  readonly grant_types?: readonly string[]
  readonly response_types?: readonly string[]
  readonly token_endpoint_auth_method?: string
  readonly application_type?: string
  readonly contacts?: readonly string[]
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly jwks_uri?: string
  readonly jwks?: unknown
  readonly software_id?: string
  readonly software_version?: string
  readonly dpop_bound_access_tokens?: boolean
  readonly [member: string]: unknown
}

/** Schemes that belong to the browser or the web and never start an application of the user (RFC 8252 §7.1). */
const foreignSchemes = new Set(
  'about: blob: data: file: filesystem: ftp: javascript: mailto: tel: urn: vbscript: view-source: ws: wss:'.split(' '),
)

/**
 * Makes sure that a redirect URI is https, http on a loopback host, or of a private-use scheme, and has neither a
 * fragment (RFC 6749 §3.1.2) nor userinfo. Throws a TypeError.
 */
export function checkRedirectUri(uri: string): void {
  const parsed = parseClean(uri)
  if (parsed !== undefined && isRedirectTarget(parsed) && !uri.includes('#') && !hasUserinfo(parsed)) return
  throw new TypeError(
    `axios-oauth2: the redirect URI ${quote(uri)} must be https, http on localhost, 127.0.0.1 or [::1], or of a scheme of your own, without a fragment.`,
  )
}

/**
 * Makes sure that a URL can be a client identifier (Client ID Metadata Document draft, Client Identifier): https, a
 * path other than `/`, no query, fragment, userinfo or dot segments. Throws a TypeError.
 */
export function checkClientIdMetadataUrl(url: string): void {
  const parsed = parseClean(url)
  const fits =
    parsed?.protocol === 'https:' &&
    /^https:\/\/[^/?#\\@]+\/[^?#\\]+$/i.test(url) &&
    // The raw text: a URL object has resolved `/../` already, and the server compares what was sent.
    !/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(url)
  if (fits) return
  throw new TypeError(
    `axios-oauth2: the client metadata URL ${quote(url)} must be https with a path, and without query, fragment, user name and dot segments.`,
  )
}

/**
 * Makes the Client ID Metadata Document to publish at `url`: the client metadata with `client_id` and, unless they are
 * given, the grant and response types of this library and the authentication method `none`. Throws a TypeError for what
 * such a client cannot be: nameless, without redirect URI, or in possession of a shared secret.
 */
export function clientIdMetadataDocument(url: string, clientMetadata: ClientMetadata): Record<string, unknown> {
  checkClientIdMetadataUrl(url)
  const { client_name: name, redirect_uris: redirectUris = [] } = clientMetadata
  if (name === undefined || name === '' || redirectUris.length === 0) {
    throw new TypeError('axios-oauth2: a client metadata document needs `client_name` and `redirect_uris`.')
  }
  redirectUris.forEach(checkRedirectUri)
  const document = {
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...definedMembers(clientMetadata),
    client_id: url,
  }
  const method = document.token_endpoint_auth_method
  if ('client_secret' in document || !['none', 'private_key_jwt'].includes(method)) {
    throw new TypeError(
      `axios-oauth2: a published client has no secret: its token_endpoint_auth_method is none or private_key_jwt, not ${quote(method)}.`,
    )
  }
  return document
}

/**
 * What kind of application the redirect URIs belong to (OpenID Connect Registration §2): `native` when one of them is a
 * loopback address or of a private-use scheme, else `web`.
 */
export function applicationType(redirectUris: readonly string[]): 'native' | 'web' {
  return redirectUris.some((uri) => !/^https:/i.test(uri)) ? 'native' : 'web'
}

/**
 * Whether a redirect URI is the registered one: equal, or on a loopback host and different in the port only, which a
 * native application learns when it listens (RFC 8252 §7.3).
 */
export function sameRedirectUri(registered: string, used: string): boolean {
  return registered === used || (withoutLoopbackPort(registered) ?? registered) === withoutLoopbackPort(used)
}

/** The members that have a value. */
export function definedMembers<T extends object>(members: T): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value != null)) as T
}

function withoutLoopbackPort(uri: string): string | undefined {
  const [, origin, rest] = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d*)?((?:[/?].*)?)$/s.exec(uri) ?? []
  return origin === undefined ? undefined : `${origin}${rest}`
}

function isRedirectTarget({ protocol, hostname }: URL): boolean {
  if (protocol === 'http:') return isLoopbackHost(hostname)
  return protocol === 'https:' || !foreignSchemes.has(protocol)
}

function hasUserinfo({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

/** A URL whose text the parser takes as it is: it would strip white space and control characters silently. */
function parseClean(url: string): URL | undefined {
  return !/[\s\p{Cc}]/u.test(url) && URL.canParse(url) ? new URL(url) : undefined
}

/** The endpoints that a server of MCP 2025-03-26 has when it publishes no metadata at all. */
export interface LegacyEndpoints {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly registration_endpoint: string
}

const protectedResource = '/.well-known/oauth-protected-resource'
const authorizationServer = '/.well-known/oauth-authorization-server'
const openidConfiguration = '/.well-known/openid-configuration'

/**
 * Lists where the metadata of a protected resource may be, in the order to ask: the well-known part between host and
 * path with the query kept (RFC 9728 §3.1), the same without the path's last slash, then the root of the host.
 * What is no http(s) URL has no such location.
 */
export function protectedResourceMetadataUrls(serverUrl: string): readonly string[] {
  const url = parseHttpUrl(serverUrl)
  if (url === undefined) return []
  const path = pathOf(url)
  const root = url.origin + protectedResource
  if (path === '') return [root + url.search]
  const withoutSlash = root + path + url.search
  if (!url.pathname.endsWith('/')) return [withoutSlash, root]
  return [`${root}${path}/${url.search}`, withoutSlash, root]
}

/**
 * Lists where the metadata of an issuer may be, in the order to ask (RFC 8414 §3.1 and §5, OpenID Connect Discovery
 * §4.1; MCP 2026-07-28, Authorization Server Metadata Discovery). What is no http(s) URL has no such location.
 */
export function authorizationServerMetadataUrls(issuer: string): readonly string[] {
  const url = parseHttpUrl(issuer)
  if (url === undefined) return []
  const path = pathOf(url)
  const inserted = [url.origin + authorizationServer + path, url.origin + openidConfiguration + path]
  return path === '' ? inserted : [...inserted, url.origin + path + openidConfiguration]
}

/** Lists where a server without resource metadata may describe its own authorization server (MCP 2025-03-26). */
export function legacyMetadataUrls(serverUrl: string): readonly string[] {
  const url = parseHttpUrl(serverUrl)
  return url === undefined ? [] : authorizationServerMetadataUrls(url.origin)
}

/** The endpoints at the origin of a configured server that publishes no metadata at all (MCP 2025-03-26). */
export function legacyEndpoints(serverUrl: string): LegacyEndpoints {
  const { origin } = new URL(serverUrl)
  return {
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
  }
}

function parseHttpUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  return url.protocol === 'https:' || url.protocol === 'http:' ? url : undefined
}

/** The path without empty segments and without a slash at the end; the empty text for the root. */
function pathOf(url: URL): string {
  return url.pathname
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => `/${segment}`)
    .join('')
}

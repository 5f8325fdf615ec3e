/** `parent`: a resource covers every URL below it on its origin. `exact`: the resource must be the server URL. */
export type ResourceMatch = 'parent' | 'exact'

interface RawUrl {
  /** Scheme and authority with ASCII letters in lower case and without a default port. */
  readonly origin: string
  /** The path as written, without one slash at its end. */
  readonly path: string
  /** The query as written with its question mark, the empty text when there is none. */
  readonly query: string
}

/**
 * Whether the `resource` of protected-resource metadata stands for the configured server (RFC 9728 §3.3): the same
 * URL or, under `parent`, one above it by whole path segments. Scheme and host compare without case and a default
 * port or one slash at the end may be written or not; everything else compares by code points as written (RFC 9728
 * §6), so nothing is decoded, mapped or resolved.
 */
export function coversServerUrl(resource: string, serverUrl: string, match: ResourceMatch): boolean {
  const outer = parseRaw(resource)
  const inner = parseRaw(withoutFragment(serverUrl))
  if (outer === undefined || inner === undefined) return false
  if (match === 'exact') return resource === withoutFragment(serverUrl)
  if (outer.origin !== inner.origin) return false
  if (outer.path === inner.path) return outer.query === inner.query
  return outer.query === '' && inner.path.startsWith(`${outer.path}/`)
}

/**
 * The resource to ask a token for when no metadata names one: the server URL with scheme and host in lower case and
 * without fragment, otherwise as written (MCP 2026-07-28, Canonical Server URI).
 */
export function canonicalResource(serverUrl: string): string {
  return withoutFragment(serverUrl).replace(/^[a-z][a-z0-9+.-]*:\/\/[^/\\?]*/i, lowerAscii)
}

/**
 * Whether a token for `resource` may go to `url`: the same origin, and a path that equals the resource's or lies below
 * it by whole segments, whatever the query. Both are judged in their serialised form, which is what is sent.
 */
export function contains(resource: string, url: string): boolean {
  const outer = parseHref(resource)
  const inner = parseHref(url)
  if (outer === undefined || inner === undefined || outer.origin !== inner.origin) return false
  const path = withoutLastSlash(outer.pathname)
  return withoutLastSlash(inner.pathname) === path || inner.pathname.startsWith(`${path}/`)
}

/** Takes a URL apart as written. What the URL parser would rewrite into another path or host is no resource. */
function parseRaw(text: string): RawUrl | undefined {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\s\x00-\x20\x7f\\#]/.test(text) || !URL.canParse(text)) return undefined
  const [, scheme, authority, path, query] = /^(https?):\/\/([^/?@]+)((?:\/[^?]*)?)((?:\?.*)?)$/i.exec(text) ?? []
  if (scheme === undefined || authority === undefined || path === undefined || query === undefined) return undefined
  if (path.split('/').some(isDotSegment)) return undefined
  const defaultPort = scheme.length === 5 ? ':443' : ':80'
  const host = withoutEnd(withoutEnd(authority, defaultPort), ':')
  return { origin: lowerAscii(`${scheme}://${host}`), path: withoutLastSlash(path), query }
}

/** The URL parser resolves these, in the encoded spellings too. */
function isDotSegment(segment: string): boolean {
  return /^(?:\.|%2e){1,2}$/i.test(segment)
}

function parseHref(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:'
  return isWeb && url.username === '' && url.password === '' ? url : undefined
}

/** Full lower-casing would turn the Kelvin sign into a k and so one host into another. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

function withoutFragment(url: string): string {
  const at = url.indexOf('#')
  return at < 0 ? url : url.slice(0, at)
}

function withoutLastSlash(path: string): string {
  return withoutEnd(path, '/')
}

function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, -end.length) : text
}

/** The options that shape a loopback redirect URI; what is left out may be taken from a stored registration. */
export interface RedirectOptions {
  readonly host?: '127.0.0.1' | 'localhost'
  readonly ports?: readonly number[]
  readonly path?: string
}

/** A port to try (0: any free one), the path to answer on, and the redirect URI once the port is bound. */
export interface RedirectCandidate {
  readonly port: number
  readonly path: string
  readonly redirectUri: (boundPort: number) => string
}

const defaultHost = '127.0.0.1'
const defaultPath = '/callback'

/**
 * What to try to bind, in order: the registered redirect URIs that the options allow, literally; then the listed ports,
 * or any free port. A registered URI whose port is not named stands for any port (RFC 8252 §7.3).
 */
export function redirectCandidates(
  options: RedirectOptions,
  registered: readonly string[] = [],
): readonly RedirectCandidate[] {
  const usable = registered.flatMap((uri) => usableUrl(uri, options) ?? [])
  const literal = usable.filter(({ url }) => url.port !== '').map(({ uri, url }) => literalCandidate(uri, url))
  if (options.ports !== undefined) return [...literal, ...listedCandidates(options, options.ports)]
  const like = usable[0]?.url
  const host = options.host ?? like?.hostname ?? defaultHost
  const path = options.path ?? like?.pathname ?? defaultPath
  return [...literal, { port: 0, path, redirectUri: (port) => `http://${host}:${port}${path}${like?.search ?? ''}` }]
}

/** The redirect URIs that are certain before anything is bound: those of listed ports. */
export function knownRedirectUris(options: RedirectOptions): readonly string[] | undefined {
  return options.ports && listedCandidates(options, options.ports).map(({ port, redirectUri }) => redirectUri(port))
}

function listedCandidates(
  { host = defaultHost, path = defaultPath }: RedirectOptions,
  ports: readonly number[],
): readonly RedirectCandidate[] {
  return ports.map((port) => ({ port, path, redirectUri: (bound) => `http://${host}:${bound}${path}` }))
}

function literalCandidate(uri: string, url: URL): RedirectCandidate {
  return { port: Number(url.port), path: url.pathname, redirectUri: () => uri }
}

/** A registered URI that this receiver can serve: http on a name of 127.0.0.1, and not against an option. */
function usableUrl(uri: string, { host, ports, path }: RedirectOptions): { uri: string; url: URL } | undefined {
  if (!URL.canParse(uri)) return undefined
  const url = new URL(uri)
  if (url.protocol !== 'http:' || !['127.0.0.1', 'localhost'].includes(url.hostname)) return undefined
  if (url.username !== '' || url.password !== '' || uri.includes('#')) return undefined
  if (host !== undefined && host !== url.hostname) return undefined
  if (path !== undefined && path !== url.pathname) return undefined
  if (ports !== undefined && !ports.includes(Number(url.port))) return undefined
  return { uri, url }
}

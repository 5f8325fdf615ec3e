import type { IncomingHttpHeaders } from 'node:http'

export type ServerName = 'rs' | 'as' | 'evil'

const endpointNames = ['register', 'authorize', 'token', 'revoke', 'par'] as const
type EndpointName = (typeof endpointNames)[number]

export type Endpoint = 'api' | 'prm' | 'as-metadata' | 'openid' | EndpointName | 'other'

/** One request as a server saw it. `status` is 0 until it is answered, and stays 0 for one that never is. */
export interface Entry {
  readonly server: ServerName
  readonly endpoint: Endpoint
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly form?: URLSearchParams
  readonly json?: unknown
  readonly status: number
}

export interface Answer {
  /** @default 200 */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** An object is sent as JSON. */
  readonly body?: string | object | Buffer
  /** The body is sent and the response never ends. */
  readonly open?: boolean
}

/** `reset`: the connection is reset; `hang`: no answer; `drip`: a body without end; `truncate`: one cut short. */
export type Misbehaviour = 'reset' | 'hang' | 'drip' | 'truncate'

export type Outcome = Answer | Misbehaviour

/** An honest server: gives the answer to a request. */
export type Handler = (entry: Entry) => Answer | Promise<Answer>

/** What an endpoint answers instead of the honest server, which `honest` asks. */
export type Answering = Outcome | ((request: Entry, honest: () => Promise<Answer>) => Outcome | Promise<Outcome>)

/** The path of a request without its query. */
export function pathOf({ url }: { readonly url: string }): string {
  return url.replace(/\?.*$/s, '')
}

export function queryOf({ url }: { readonly url: string }): URLSearchParams {
  return new URLSearchParams(url.slice(pathOf({ url }).length))
}

/** Path of the API without query and last slash: what lies at or below it is the API. */
export function basePath(path: string): string {
  return pathOf({ url: path }).replace(/\/$/, '')
}

export function isBelow(path: string, base: string): boolean {
  return path === base || path.startsWith(`${base}/`)
}

/** Names what a path is for, on whichever server. */
export function classify(url: string, o: { path: string; issuerPath: string; server: ServerName }): Endpoint {
  const path = pathOf({ url })
  const base = basePath(o.path)
  if (path.startsWith('/.well-known/oauth-protected-resource')) return 'prm'
  if (path.startsWith('/.well-known/oauth-authorization-server')) return 'as-metadata'
  if (path.includes('/.well-known/openid-configuration')) return 'openid'
  if (base !== '' && isBelow(path, base)) return 'api'
  const named = endpointNames.find((name) => path === `${o.issuerPath}/${name}` || path === `/${name}`)
  if (named !== undefined) return named
  return base === '' && o.server === 'rs' ? 'api' : 'other'
}

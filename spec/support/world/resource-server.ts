import { createHash } from 'node:crypto'
import { basePath, pathOf, queryOf, type Answer, type Entry } from './entry'
import { covers, type WorldSettings } from './settings'
import type { AccessToken, TokenBook } from './token-book'

const wellKnown = '/.well-known/oauth-protected-resource'

/** An honest protected API: challenges, checks token, audience and scope, and echoes what it was sent. */
export class ResourceServer {
  readonly #settings: WorldSettings
  readonly #book: TokenBook

  constructor(settings: WorldSettings, book: TokenBook) {
    this.#settings = settings
    this.#book = book
  }

  answer(entry: Entry): Answer {
    if (entry.endpoint === 'prm') return this.#metadata(entry)
    return entry.endpoint === 'api' ? this.#api(entry) : { status: 404, body: 'not found' }
  }

  #metadata(entry: Entry): Answer {
    const { path, serverUrl, issuer, scopesSupported, legacy } = this.#settings
    if (legacy !== undefined || pathOf(entry).replace(/\/$/, '') !== wellKnown + basePath(path)) {
      return { status: 404, body: 'not found' }
    }
    return {
      body: {
        resource: serverUrl,
        authorization_servers: [issuer],
        bearer_methods_supported: ['header'],
        ...(scopesSupported === undefined ? {} : { scopes_supported: scopesSupported }),
      },
    }
  }

  #api(entry: Entry): Answer {
    const { requireScope } = this.#settings
    const [, value] = /^Bearer (\S+)$/i.exec(entry.headers.authorization ?? '') ?? []
    if (value === undefined) return this.#challenge(401, { scope: requireScope })
    const token = this.#book.accessToken(value)
    if (token === undefined || !this.#isForUs(token)) {
      return this.#challenge(401, { error: 'invalid_token', scope: requireScope })
    }
    const path = pathOf(entry).slice(basePath(this.#settings.path).length)
    const query = queryOf(entry)
    const needed = path === '/needs' ? (query.get('scope') ?? undefined) : requireScope
    if (!covers(token.scope, needed)) return this.#challenge(403, { error: 'insufficient_scope', scope: needed })
    if (path === '/stream') return { headers: { 'Content-Type': 'text/event-stream' }, body: 'data: 1\n\n', open: true }
    const to = path === '/redirect' ? query.get('to') : null
    if (to !== null) return { status: Number(query.get('status') ?? 302), headers: { Location: to } }
    return { body: echo(entry) }
  }

  /** The audience, if the token has one, is this API or a parent of it. */
  #isForUs({ grant }: AccessToken): boolean {
    if (grant.resource === undefined) return true
    const resource = grant.resource.replace(/\/$/, '')
    const { serverUrl } = this.#settings
    return serverUrl === grant.resource || serverUrl === resource || serverUrl.startsWith(`${resource}/`)
  }

  #challenge(status: number, parameters: { error?: string; scope: string | undefined }): Answer {
    const { legacy, serverUrl } = this.#settings
    const url = new URL(serverUrl)
    const path = url.pathname === '/' ? '' : url.pathname
    const location = legacy === undefined ? { resource_metadata: url.origin + wellKnown + path + url.search } : {}
    const parts = Object.entries({ ...parameters, ...location }).flatMap(([name, text]) =>
      text === undefined ? [] : [`${name}="${text}"`],
    )
    return { status, headers: { 'WWW-Authenticate': ['Bearer', parts.join(', ')].join(' ').trim() }, body: 'refused' }
  }
}

/** What an accepted request looked like. */
export interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Base64. */
  readonly body: string
  readonly sha256: string
}

function echo({ method, url, headers: { authorization: _, ...headers }, body }: Entry): Echo {
  return {
    method,
    url,
    headers,
    body: body.toString('base64'),
    sha256: createHash('sha256').update(body).digest('hex'),
  }
}

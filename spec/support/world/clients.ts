import { randomUUID } from 'node:crypto'
import type { Answer, Entry } from './entry'
import type { WorldSettings } from './settings'
import type { TokenBook } from './token-book'

export interface Client {
  readonly client_id: string
  readonly client_secret?: string
  readonly token_endpoint_auth_method: string
  readonly redirect_uris: readonly string[]
  readonly [member: string]: unknown
}

/** What the authorization server declines, as an OAuth error. */
export class Declined extends Error {
  readonly error: string
  readonly status: number

  constructor(error: string, description: string, status = 400) {
    super(description)
    this.error = error
    this.status = status
  }

  toAnswer(): Answer {
    const basic = { 'WWW-Authenticate': 'Basic realm="spec"' }
    return {
      status: this.status,
      headers: { 'Cache-Control': 'no-store', ...(this.status === 401 ? basic : {}) },
      body: { error: this.error, error_description: this.message },
    }
  }
}

/** The clients an authorization server knows, and how they prove who they are (RFC 7591, RFC 6749 §2.3). */
export class Clients {
  readonly #clients = new Map<string, Client>()
  readonly #settings: WorldSettings
  readonly #book: TokenBook

  constructor(settings: WorldSettings, book: TokenBook) {
    this.#settings = settings
    this.#book = book
  }

  /** Registers beforehand. A method other than `none` gets a secret. */
  add(client: Partial<Client>): Client {
    const { token_endpoint_auth_method: method = 'client_secret_basic' } = client
    const added: Client = {
      client_id: `client-${randomUUID()}`,
      ...(method.startsWith('client_secret') ? { client_secret: this.#book.mint('secret') } : {}),
      token_endpoint_auth_method: method,
      redirect_uris: [],
      ...client,
    }
    this.#clients.set(added.client_id, added)
    return added
  }

  forgetAll(): void {
    this.#clients.clear()
  }

  register({ json }: Entry): Answer {
    const request = (json ?? {}) as Partial<Client>
    const { redirect_uris, token_endpoint_auth_method: method = 'client_secret_basic' } = request
    if (!Array.isArray(redirect_uris)) throw new Declined('invalid_client_metadata', 'redirect_uris is missing')
    if (!this.#settings.authMethods.includes(method)) throw new Declined('invalid_client_metadata', `no ${method}`)
    const client = this.add({ ...request, token_endpoint_auth_method: method })
    const expiry = client.client_secret === undefined ? {} : { client_secret_expires_at: 0 }
    return { status: 201, headers: { 'Cache-Control': 'no-store' }, body: { ...client, ...expiry } }
  }

  /** A registered client, or one that a metadata document describes and this world takes at its word. */
  find(id: string | null | undefined): Client | undefined {
    if (id === null || id === undefined) return undefined
    if (this.#settings.cimd && id.startsWith('https://')) {
      return { client_id: id, token_endpoint_auth_method: 'none', redirect_uris: [] }
    }
    return this.#clients.get(id)
  }

  /** The client of a request, authenticated in exactly the way it is registered for. */
  authenticate({ headers, form }: Entry): Client {
    const basic = basicCredentials(headers.authorization)
    const secret = form?.get('client_secret') ?? undefined
    if (basic !== undefined && secret !== undefined) throw new Declined('invalid_request', 'two ways to authenticate')
    const client = this.find(basic?.id ?? form?.get('client_id'))
    if (client === undefined) throw new Declined('invalid_client', 'unknown client', 401)
    const used = basic ? 'client_secret_basic' : secret === undefined ? 'none' : 'client_secret_post'
    if (used !== client.token_endpoint_auth_method) {
      throw new Declined('invalid_client', `${used} instead of ${client.token_endpoint_auth_method}`, 401)
    }
    if (used !== 'none' && (basic?.secret ?? secret) !== client.client_secret) {
      throw new Declined('invalid_client', 'wrong secret', 401)
    }
    return client
  }

  acceptsRedirect({ client_id, redirect_uris }: Client, uri: string): boolean {
    return redirect_uris.includes(uri) || (client_id.startsWith('https://') && uri.startsWith('http://127.0.0.1'))
  }
}

/** RFC 6749 §2.3.1: id and secret are form-encoded before they are joined. */
function basicCredentials(authorization: string | undefined): { id: string; secret: string } | undefined {
  const [, encoded] = /^Basic (\S+)$/i.exec(authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString().split(':')
  const decode = (text: string): string => new URLSearchParams(`v=${text}`).get('v') ?? ''
  return { id: decode(id), secret: decode(secret) }
}

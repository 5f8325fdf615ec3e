import { Clients, Declined, type Client } from './clients'
import { pathOf, queryOf, type Answer, type Entry } from './entry'
import type { WorldSettings } from './settings'
import { scopes } from './settings'
import type { TokenBook } from './token-book'
import { TokenIssuer } from './token-issuer'
import { choiceHeader } from './user'

const wellKnown = '/.well-known/oauth-authorization-server'

/** An honest authorization server: PKCE with S256, exact redirect URIs, codes once, rotation, RFC 9207 `iss`. */
export class AuthorizationServer {
  readonly clients: Clients
  readonly #settings: WorldSettings
  readonly #book: TokenBook
  readonly #issuer: TokenIssuer
  readonly #pushed = new Map<string, URLSearchParams>()

  constructor(settings: WorldSettings, book: TokenBook) {
    this.#settings = settings
    this.#book = book
    this.clients = new Clients(settings, book)
    this.#issuer = new TokenIssuer(settings, book, this.clients)
  }

  /** Answers what lies at the paths of the issuer; anything else is not found. */
  answer(entry: Entry): Answer {
    const wanted = { prm: '', api: '', other: '', 'as-metadata': 'GET', openid: 'GET', authorize: 'GET' } as const
    const method = (wanted as Partial<Record<string, string>>)[entry.endpoint] ?? 'POST'
    if (method === '' || !this.#isOwn(entry)) return { status: 404, body: 'not found' }
    if (entry.method !== method) return { status: 405, headers: { Allow: method }, body: 'method not allowed' }
    try {
      return this.#dispatch(entry)
    } catch (error) {
      if (error instanceof Declined) return error.toAnswer()
      throw error
    }
  }

  #dispatch(entry: Entry): Answer {
    switch (entry.endpoint) {
      case 'register':
        return this.#settings.registration ? this.clients.register(entry) : { status: 404, body: 'not found' }
      case 'authorize':
        return this.#authorize(entry)
      case 'par':
        return this.#push(entry)
      case 'token':
        return this.#issuer.token(entry)
      case 'revoke':
        return this.#issuer.revoke(entry)
      default:
        return { body: this.metadata() }
    }
  }

  metadata(): Record<string, unknown> {
    const { issuer, issuerPath, iss, refresh, registration, cimd, authMethods, asScopesSupported } = this.#settings
    const base = new URL(issuer).origin + issuerPath
    return {
      issuer,
      authorization_endpoint: `${base}/authorize`,
      token_endpoint: `${base}/token`,
      revocation_endpoint: `${base}/revoke`,
      ...(registration ? { registration_endpoint: `${base}/register` } : {}),
      ...(asScopesSupported === undefined ? {} : { scopes_supported: asScopesSupported }),
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'client_credentials', ...(refresh ? ['refresh_token'] : [])],
      token_endpoint_auth_methods_supported: authMethods,
      code_challenge_methods_supported: ['S256'],
      ...(iss ? { authorization_response_iss_parameter_supported: true } : {}),
      ...(cimd ? { client_id_metadata_document_supported: true } : {}),
    }
  }

  #isOwn(entry: Entry): boolean {
    const { issuerPath, legacy } = this.#settings
    const path = pathOf(entry)
    const { endpoint } = entry
    if (endpoint === 'as-metadata') return legacy !== 'endpoints' && path === wellKnown + issuerPath
    if (endpoint === 'openid') {
      const own = [`/.well-known/openid-configuration${issuerPath}`, `${issuerPath}/.well-known/openid-configuration`]
      return legacy !== 'endpoints' && own.includes(path)
    }
    return path === `${issuerPath}/${endpoint}`
  }

  #push(entry: Entry): Answer {
    const client = this.clients.authenticate(entry)
    const parameters = new URLSearchParams(entry.form)
    parameters.set('client_id', client.client_id)
    const requestUri = `urn:ietf:params:oauth:request_uri:${this.#book.mint('request')}`
    this.#pushed.set(requestUri, parameters)
    return { status: 201, body: { request_uri: requestUri, expires_in: 60 } }
  }

  #authorize(entry: Entry): Answer {
    const query = queryOf(entry)
    const pushed = this.#pushed.get(query.get('request_uri') ?? '')
    const parameters = pushed ?? query
    const client = this.clients.find(query.get('client_id'))
    const redirectUri = parameters.get('redirect_uri') ?? ''
    if (client === undefined) return { status: 400, body: 'unknown client_id' }
    if (!this.clients.acceptsRedirect(client, redirectUri)) return { status: 400, body: 'unregistered redirect_uri' }
    if (entry.headers[choiceHeader] === 'leave') return { headers: { 'Content-Type': 'text/html' }, body: '<form>' }
    const location = new URL(redirectUri)
    for (const [name, value] of Object.entries(this.#response(parameters, client, entry.headers[choiceHeader]))) {
      location.searchParams.set(name, value)
    }
    const state = parameters.get('state')
    if (state !== null) location.searchParams.set('state', state)
    if (this.#settings.iss) location.searchParams.set('iss', this.#settings.issuer)
    return { status: 302, headers: { Location: location.href } }
  }

  #response(parameters: URLSearchParams, client: Client, choice: unknown): Record<string, string> {
    const { asScopesSupported } = this.#settings
    const names = [...parameters.keys()].filter((name) => name !== 'resource')
    if (new Set(names).size < names.length) return { error: 'invalid_request', error_description: 'repeated parameter' }
    if (parameters.get('response_type') !== 'code') return { error: 'unsupported_response_type' }
    const challenge = parameters.get('code_challenge') ?? ''
    if (parameters.get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(challenge)) {
      return { error: 'invalid_request', error_description: 'PKCE with S256 is required' }
    }
    const scope = parameters.get('scope') ?? undefined
    if (asScopesSupported !== undefined && scopes(scope).some((one) => !asScopesSupported.includes(one))) {
      return { error: 'invalid_scope' }
    }
    if (choice === 'deny') return { error: 'access_denied', error_description: 'the person declined' }
    return { code: this.#issuer.issueCode(client, parameters) }
  }
}

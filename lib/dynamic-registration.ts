import { clientAuthentications } from './client-authentication'
import type { OAuthContext } from './context'
import { withDeadline } from './deadline'
import { metadataOf, otherServer } from './metadata/discovered-server'
import { OAuthRegistrationError, quote, type OAuthErrorDetails } from './errors'
import { isTransientStatus, retryAfterOf, type HttpResponse } from './http'
import { isCertificateMethod } from './protocol/authentication-method'
import { sameIssuer } from './protocol/issuer'
import { parseJsonObject } from './protocol/json'
import {
  buildRegistration,
  isSecretExpired,
  parseRegistration,
  reduceRegistration,
  type ClientMetadata,
} from './protocol/registration'
import type { RegistrationRequest } from './registrar'
import type { DiscoveredServer, KnownClient } from './storage/record'

/**
 * A server of 2025-03-26 without metadata lists no methods, and the official SDK's gives a secret to a client that names
 * none, but takes no Basic. A public client works everywhere, since all of them have PKCE.
 */
const withoutDocument = { token_endpoint_auth_methods_supported: ['none'] }

/** Registers a client at the server's registration endpoint (RFC 7591 §3). */
export class DynamicRegistration {
  readonly #context: OAuthContext

  constructor(context: OAuthContext) {
    this.#context = context
  }

  /** Registers and gives the client; storing it is the caller's. Throws an `OAuthRegistrationError`. */
  async register(request: RegistrationRequest): Promise<KnownClient> {
    const { server, scope, redirectUri, interactive, grantTypes } = request
    const { now } = this.#context.settings
    const clientMetadata = withGrantTypes(this.#context.settings.clientMetadata, grantTypes)
    const metadata = metadataOf(server)
    const endpoint = metadata.registration_endpoint
    if (endpoint === undefined) throw noWay(server.issuer)
    const startedAt = now()
    const redirectUris = redirectUri === undefined ? [] : [redirectUri]
    const configured = clientMetadata.redirect_uris ?? []
    const first = buildRegistration({
      clientMetadata,
      redirectUris: redirectUris.some((uri) => !configured.includes(uri)) ? redirectUris : configured,
      ...(scope === undefined ? {} : { scope }),
      server: server.legacy === 'endpoints' ? { ...metadata, ...withoutDocument } : metadata,
      interactive: interactive && grantTypes === undefined,
    })
    const { response, dropped } = await this.#post(endpoint, server, first)
    const registered = parseRegistration(parseJsonObject(response.body) ?? {}, {
      endpoint,
      ...(redirectUri === undefined ? {} : { redirectUri }),
      supportedMethods: this.#supportedMethods(),
      requestedMethod: methodOf(first),
    })
    const client = knownClient(registered, first, redirectUri)
    if (isSecretExpired(client, now())) throw expired(endpoint)
    const told = { origin: new URL(server.issuer).origin, duration: now() - startedAt, issuer: server.issuer, dropped }
    this.#context.events.emit('registered', told)
    return client
  }

  /** A certificate is something to register with only for who has said so. */
  #supportedMethods(): readonly string[] {
    const { settings } = this.#context
    const wanted = settings.clientMetadata.token_endpoint_auth_method
    return Object.keys(clientAuthentications(settings)).filter(
      (method) => !isCertificateMethod(method) || method === wanted,
    )
  }

  /** One registration, and one reduced one when the server objects to a member (RFC 7591 §3.2.2). */
  async #post(
    endpoint: string,
    server: DiscoveredServer,
    body: Record<string, unknown>,
  ): Promise<{ response: HttpResponse; dropped: readonly string[] }> {
    const response = await this.#send(endpoint, server, body)
    if (isRegistered(response)) return { response, dropped: [] }
    const oauthError = parseJsonObject(response.body)?.error
    const reduced = typeof oauthError === 'string' ? reduceRegistration(body, oauthError) : undefined
    if (reduced === undefined || isTransientStatus(response.status)) throw this.#refused(response)
    const second = await this.#send(endpoint, server, reduced.request)
    if (!isRegistered(second)) throw this.#refused(second)
    return { response: second, dropped: reduced.dropped }
  }

  async #send(endpoint: string, server: DiscoveredServer, body: Record<string, unknown>): Promise<HttpResponse> {
    const token = await this.#initialAccessToken(server)
    return this.#context.http.send({
      phase: 'registration',
      method: 'POST',
      url: endpoint,
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json',
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    })
  }

  /** RFC 7591 §3. Like every configured credential it goes to the configured issuer or to the one first used. */
  async #initialAccessToken(server: DiscoveredServer): Promise<string | undefined> {
    const { initialAccessToken, requestTimeout } = this.#context.settings
    if (initialAccessToken === undefined) return undefined
    const known = this.#context.grant?.server.issuer
    if (known !== undefined && !sameIssuer(known, server.issuer)) throw otherServer(known, server)
    if (typeof initialAccessToken === 'string') return initialAccessToken
    return withDeadline(() => initialAccessToken(), requestTimeout, 'waiting for initialAccessToken()')
  }

  #refused(response: HttpResponse): OAuthRegistrationError {
    const { url, status, body } = response
    const { error, error_description: description } = parseJsonObject(body) ?? {}
    const transient = isTransientStatus(status)
    const details: OAuthErrorDetails = {
      code: transient ? 'OAUTH_TEMPORARY' : 'OAUTH_REGISTRATION_FAILED',
      retryable: transient,
      endpoint: url,
      status,
      oauthError: typeof error === 'string' ? error : undefined,
      oauthErrorDescription: typeof description === 'string' ? description : undefined,
      retryAfter: transient ? retryAfterOf(response, this.#context.settings.now()) : undefined,
      hint: transient
        ? undefined
        : 'Register the client by hand and set `clientInformation`, or adjust `clientMetadata`.',
    }
    const reason = typeof error === 'string' ? quote(error) : `status ${status}`
    return new OAuthRegistrationError(`${new URL(url).host} refused to register the client: ${reason}.`, details)
  }
}

/** RFC 7591 §2: a client without redirect has no response type, which would be `code` by default. */
function withGrantTypes(clientMetadata: ClientMetadata, grantTypes: readonly string[] | undefined): ClientMetadata {
  return grantTypes === undefined ? clientMetadata : { grant_types: grantTypes, response_types: [], ...clientMetadata }
}

function isRegistered({ status, body }: HttpResponse): boolean {
  // RFC 7591 §3.2.1 says 201; real servers answer 200 (THREATS D7).
  return (status === 200 || status === 201) && parseJsonObject(body) !== undefined
}

function methodOf({ token_endpoint_auth_method: method }: Record<string, unknown>): string | undefined {
  return typeof method === 'string' ? method : undefined
}

/** What is kept of a registration: what later requests need, in the server's own words where it gave any. */
function knownClient(
  registered: ReturnType<typeof parseRegistration>,
  request: Record<string, unknown>,
  redirectUri: string | undefined,
): KnownClient {
  const { client_id, client_secret, client_secret_expires_at, redirect_uris, grant_types } = registered
  const method = registered.token_endpoint_auth_method ?? methodOf(request)
  const uris = redirect_uris ?? (redirectUri === undefined ? undefined : [redirectUri])
  return {
    source: 'dynamic',
    client_id,
    ...(client_secret === undefined ? {} : { client_secret }),
    ...(client_secret_expires_at === undefined ? {} : { client_secret_expires_at }),
    ...(method === undefined ? {} : { token_endpoint_auth_method: method }),
    ...(uris === undefined ? {} : { redirect_uris: [...uris] }),
    ...(grant_types === undefined ? {} : { grant_types: [...grant_types] }),
  }
}

/** Says which ways there are to be known at a server. */
export function noWay(issuer: string): OAuthRegistrationError {
  return new OAuthRegistrationError(`There is no way to make this client known at ${quote(issuer)}.`, {
    code: 'OAUTH_REGISTRATION_FAILED',
    endpoint: issuer,
    hint: 'Set `clientInformation` to a client registered there, or `clientMetadataUrl` where the server supports metadata documents, or use a server with dynamic registration.',
  })
}

function expired(endpoint: string): OAuthRegistrationError {
  return new OAuthRegistrationError(`${new URL(endpoint).host} issued a client secret that has already expired.`, {
    code: 'OAUTH_CLIENT_EXPIRED',
    endpoint,
    hint: 'Compare the clocks of this machine and of the server.',
  })
}

import type { OAuthContext } from './context'
import { withDeadline } from './deadline'
import { checkPinned, metadataOf } from './discovery'
import { OAuthDiscoveryError, OAuthRegistrationError, quote, type OAuthErrorDetails } from './errors'
import { isTransientStatus, retryAfterOf, type HttpResponse } from './http'
import type { Lease } from './lease'
import { parseJsonObject } from './protocol/json'
import {
  buildRegistration,
  isSecretExpired,
  parseRegistration,
  reduceRegistration,
  sameRedirectUri,
} from './protocol/registration'
import { sameIssuer } from './protocol/issuer'
import { clientAuthentications } from './client-authentication'
import type { DiscoveredServer, KnownClient } from './storage/record'

/** How a client is to be known. */
export interface RegistrationRequest {
  readonly server: DiscoveredServer
  readonly scope: string | undefined
  /** The redirect URI of this sign-in; undefined for grants without one. */
  readonly redirectUri?: string | undefined
  readonly interactive: boolean
  /** A client id that the server has just called unknown: it is not used again. */
  readonly rejected?: string | undefined
}

/**
 * Makes the client known at an authorization server: the configured client, else the one stored for this issuer, else a
 * Client ID Metadata Document, else dynamic registration (RFC 7591).
 */
export class Registrar {
  readonly #context: OAuthContext

  constructor(context: OAuthContext) {
    this.#context = context
  }

  /**
   * The client to use at the server; a dynamic registration is stored before this resolves. Throws an
   * `OAuthRegistrationError`, or `OAUTH_AS_CHANGED` when the configured or pinned credentials belong to another server.
   */
  async register(lease: Pick<Lease, 'clients'>, request: RegistrationRequest): Promise<KnownClient> {
    const { clientInformation, clientMetadataUrl } = this.#context.settings
    if (clientInformation !== undefined) return this.#staticClient(lease, request.server)
    const stored = await this.#stored(lease, request)
    if (stored !== undefined) return stored
    const metadata = metadataOf(request.server)
    if (clientMetadataUrl !== undefined && metadata.client_id_metadata_document_supported === true) {
      return this.#metadataDocument(lease, request.server, clientMetadataUrl)
    }
    if (!request.interactive) await this.#refuseOtherIssuer(lease, request.server)
    return this.#dynamic(lease, request)
  }

  /** Forgets a registration that never led to a token, so that the next sign-in registers anew. */
  async forgetUnproven(lease: Pick<Lease, 'clients'>, server: DiscoveredServer, client: KnownClient): Promise<void> {
    if (client.source !== 'dynamic') return
    const grants = await lease.clients.at(server.issuer)
    const proven = grants.some((grant) => grant.client.client_id === client.client_id && grant.client.proven === true)
    if (!proven) await lease.clients.forget(server, client.client_id)
  }

  /** The configured client; its secret stays in the options and goes only to the issuer it is for. */
  async #staticClient(lease: Pick<Lease, 'clients'>, server: DiscoveredServer): Promise<KnownClient> {
    const { clientInformation, pinnedIssuer } = this.#context.settings
    const { client_id, client_secret, token_endpoint_auth_method, redirect_uris } = clientInformation ?? {
      client_id: '',
    }
    const confidential = client_secret !== undefined || clientInformation?.private_key !== undefined
    if (pinnedIssuer !== undefined && !this.#isAt(pinnedIssuer, server)) throw otherServer(pinnedIssuer, server)
    if (confidential && pinnedIssuer === undefined) await this.#pin(lease, server)
    return {
      source: 'static',
      client_id,
      ...(token_endpoint_auth_method === undefined ? {} : { token_endpoint_auth_method }),
      ...(redirect_uris === undefined ? {} : { redirect_uris: [...redirect_uris] }),
    }
  }

  /** Whether a server is the one of an issuer; a trusted issuer in its document is as good (see `trustedIssuers`). */
  #isAt(issuer: string, server: DiscoveredServer): boolean {
    return sameIssuer(issuer, server.issuer) || this.#context.settings.trustedIssuers.includes(server.issuer)
  }

  /** A static secret without configured issuer belongs to the server of its first use (THREATS D11). */
  async #pin(lease: Pick<Lease, 'clients'>, server: DiscoveredServer): Promise<void> {
    const { pin } = lease.clients
    const tokenEndpoint = metadataOf(server).token_endpoint
    if (server.legacy !== undefined) throw otherServer('an issuer that publishes itself', server)
    if (pin === undefined) return lease.clients.setPin({ issuer: server.issuer, tokenEndpoint })
    if (!sameIssuer(pin.issuer, server.issuer)) throw otherServer(pin.issuer, server)
    const moved = pin.tokenEndpoint !== tokenEndpoint && new URL(tokenEndpoint).origin !== new URL(server.issuer).origin
    if (moved) throw otherServer(pin.tokenEndpoint, server)
  }

  async #stored(lease: Pick<Lease, 'clients'>, request: RegistrationRequest): Promise<KnownClient | undefined> {
    const { server, redirectUri, rejected } = request
    const grants = await lease.clients.at(server.issuer)
    for (const grant of grants) checkPinned(grant.server, server)
    const usable = grants.find(({ client }) => {
      if (client.source !== 'dynamic' || client.client_id === rejected) return false
      return !isSecretExpired(client, this.#context.settings.now()) && allowsRedirect(client, redirectUri)
    })
    return usable?.client
  }

  async #metadataDocument(lease: Pick<Lease, 'clients'>, server: DiscoveredServer, url: string): Promise<KnownClient> {
    const client: KnownClient = { source: 'metadata-document', client_id: url, token_endpoint_auth_method: 'none' }
    await lease.clients.save(server, client)
    return client
  }

  /** What cannot ask a person does not register at a server that the session was not with before. */
  async #refuseOtherIssuer(lease: Pick<Lease, 'clients'>, server: DiscoveredServer): Promise<void> {
    if ((await lease.clients.at(server.issuer)).length === 0 && this.#context.grant !== undefined) {
      throw otherServer(this.#context.grant.server.issuer, server)
    }
  }

  async #dynamic(lease: Pick<Lease, 'clients'>, request: RegistrationRequest): Promise<KnownClient> {
    const { server, scope, redirectUri, interactive } = request
    const { clientMetadata, now } = this.#context.settings
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
      server: metadata,
      interactive,
    })
    const { response, dropped } = await this.#post(endpoint, server, first)
    const registered = parseRegistration(parseJsonObject(response.body) ?? {}, {
      endpoint,
      ...(redirectUri === undefined ? {} : { redirectUri }),
      supportedMethods: Object.keys(clientAuthentications),
    })
    const client = knownClient(registered, first, redirectUri)
    if (isSecretExpired(client, now())) throw expired(endpoint)
    await lease.clients.save(server, client)
    const told = { origin: new URL(server.issuer).origin, duration: now() - startedAt, issuer: server.issuer, dropped }
    this.#context.events.emit('registered', told)
    return client
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
    if (reduced === undefined || response.status !== 400) throw this.#refused(response)
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

function isRegistered({ status, body }: HttpResponse): boolean {
  // RFC 7591 §3.2.1 says 201; real servers answer 200 (THREATS D7).
  return (status === 200 || status === 201) && parseJsonObject(body) !== undefined
}

function allowsRedirect(client: KnownClient, redirectUri: string | undefined): boolean {
  if (redirectUri === undefined || client.redirect_uris === undefined) return true
  return client.redirect_uris.some((registered) => sameRedirectUri(registered, redirectUri))
}

/** What is kept of a registration: what later requests need, in the server's own words where it gave any. */
function knownClient(
  registered: ReturnType<typeof parseRegistration>,
  request: Record<string, unknown>,
  redirectUri: string | undefined,
): KnownClient {
  const { client_id, client_secret, client_secret_expires_at, redirect_uris, grant_types } = registered
  const requested = request.token_endpoint_auth_method
  const method = registered.token_endpoint_auth_method ?? (typeof requested === 'string' ? requested : undefined)
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

function noWay(issuer: string): OAuthRegistrationError {
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

function otherServer(bound: string, server: DiscoveredServer): OAuthDiscoveryError {
  return new OAuthDiscoveryError(
    `The credentials belong to ${quote(bound)}, the resource now names ${quote(server.issuer)}.`,
    {
      code: 'OAUTH_AS_CHANGED',
      endpoint: server.issuer,
      hint: 'Nothing was sent. If the move is genuine, configure credentials of the new server and its `issuer`.',
    },
  )
}

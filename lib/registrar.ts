import type { OAuthContext } from './context'
import { checkPinned, metadataOf, otherServer } from './metadata/discovered-server'
import { hasClientKey } from './client-authentication/client-key'
import { DynamicRegistration, noWay } from './dynamic-registration'
import type { Lease } from './state/lease'
import { isSecretExpired, sameRedirectUri } from './protocol/registration'
import { sameIssuer } from './protocol/issuer'
import type { DiscoveredServer, KnownClient } from './storage/record'

/** How a client is to be known. */
export interface RegistrationRequest {
  readonly server: DiscoveredServer
  readonly scope: string | undefined
  /** The redirect URI of this sign-in; undefined for grants without one. */
  readonly redirectUri?: string | undefined
  readonly interactive: boolean
  /** What a dynamic registration asks for. Default: what signing in by authorization code needs. */
  readonly grantTypes?: readonly string[] | undefined
  /** A client id that the server has just called unknown: it is not used again. */
  readonly rejected?: string | undefined
}

/**
 * Makes the client known at an authorization server: the configured client, else the one stored for this issuer, else a
 * Client ID Metadata Document, else dynamic registration (RFC 7591).
 */
export class Registrar {
  readonly #context: OAuthContext
  readonly #registration: DynamicRegistration

  constructor(context: OAuthContext) {
    this.#context = context
    this.#registration = new DynamicRegistration(context)
  }

  /**
   * The client to use at the server; a dynamic registration is stored before this resolves. Throws an
   * `OAuthRegistrationError`, or `OAUTH_AS_CHANGED` when the configured or pinned credentials belong to another server.
   */
  async register(lease: Pick<Lease, 'clients'>, request: RegistrationRequest): Promise<KnownClient> {
    const { clientInformation, clientMetadataUrl } = this.#context.settings
    if (clientInformation !== undefined) return this.#staticClient(lease, request.server)
    if (request.rejected !== undefined) await lease.clients.reject(request.server.issuer, request.rejected)
    const stored = await this.#stored(lease, request)
    if (stored !== undefined) return stored
    if (!request.interactive) await this.#refuseOtherIssuer(lease, request.server)
    const metadata = metadataOf(request.server)
    if (clientMetadataUrl !== undefined && metadata.client_id_metadata_document_supported === true) {
      return this.#metadataDocument(lease, request.server, clientMetadataUrl)
    }
    // A machine is known beforehand or not at all: what anybody may register as is allowed to do nothing.
    if (!request.interactive) throw noWay(request.server.issuer)
    return this.#dynamicClient(lease, request)
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
    const { clientInformation, pinnedIssuer, grant } = this.#context.settings
    const { client_id, client_secret, token_endpoint_auth_method, redirect_uris } = clientInformation ?? {
      client_id: '',
    }
    // What a silent grant presents is a credential as well, whatever the client is.
    const confidential = client_secret !== undefined || hasClientKey(clientInformation) || grant.kind === 'silent'
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

  /** A configured secret without configured issuer belongs to the server of its first use (THREATS D11). */
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
    const { server, redirectUri } = request
    const grants = await lease.clients.at(server.issuer)
    for (const grant of grants) checkPinned(grant.server, server)
    const usable = grants.find(({ client }) => {
      if (client.source !== 'dynamic' || client.rejected === true) return false
      return !isSecretExpired(client, this.#context.settings.now()) && allowsRedirect(client, redirectUri)
    })
    return usable?.client
  }

  async #metadataDocument(lease: Pick<Lease, 'clients'>, server: DiscoveredServer, url: string): Promise<KnownClient> {
    // The document says one method to every server; only its owner, who configures it here, can know which.
    const { clientMetadata, clientKey } = this.#context.settings
    const method = clientMetadata.token_endpoint_auth_method ?? (clientKey === undefined ? 'none' : 'private_key_jwt')
    const client: KnownClient = { source: 'metadata-document', client_id: url, token_endpoint_auth_method: method }
    await lease.clients.save(server, client)
    return client
  }

  /** What cannot ask a person does not register at a server that the session was not with before. */
  async #refuseOtherIssuer(lease: Pick<Lease, 'clients'>, server: DiscoveredServer): Promise<void> {
    if ((await lease.clients.at(server.issuer)).length === 0 && this.#context.grant !== undefined) {
      throw otherServer(this.#context.grant.server.issuer, server)
    }
  }

  /** A registration is stored before anybody relies on it. */
  async #dynamicClient(lease: Pick<Lease, 'clients'>, request: RegistrationRequest): Promise<KnownClient> {
    const { initialAccessToken, pinnedIssuer } = this.#context.settings
    if (initialAccessToken !== undefined && pinnedIssuer === undefined) await this.#pin(lease, request.server)
    const client = await this.#registration.register(request)
    await lease.clients.save(request.server, client)
    return client
  }
}

function allowsRedirect(client: KnownClient, redirectUri: string | undefined): boolean {
  if (redirectUri === undefined || client.redirect_uris === undefined) return true
  return client.redirect_uris.some((registered) => sameRedirectUri(registered, redirectUri))
}

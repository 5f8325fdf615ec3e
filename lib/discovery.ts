import type { OAuthContext } from './context'
import { endpointOf, isOAuthFlowError, OAuthDiscoveryError, quote, type OAuthFlowError } from './errors'
import { checkPinned } from './discovered-server'
import { checkDpopPolicy } from './dpop-option'
import type { Lease } from './lease'
import { MetadataDocuments, type Probe } from './metadata-documents'
import { speaksResourceParameter, type Need } from './need'
import { resolveResourceMetadata } from './protocol/challenge'
import { endpointsFor } from './protocol/certificate-endpoints'
import { checkEndpoint, isLoopbackUrl } from './protocol/endpoint'
import { isPrivateAddress } from './protocol/address'
import { checkIssuer, isUsableIssuer, sameIssuer } from './protocol/issuer'
import type { JsonObject } from './protocol/json'
import { parseAuthorizationServerMetadata, parseProtectedResourceMetadata } from './protocol/metadata'
import type { AuthorizationServerMetadata, ProtectedResourceMetadata } from './protocol/metadata'
import { canonicalResource, coversServerUrl } from './protocol/resource'
import {
  authorizationServerMetadataUrls,
  legacyEndpoints,
  legacyMetadataUrls,
  protectedResourceMetadataUrls,
} from './protocol/well-known'
import type { DiscoveredServer } from './storage/record'

interface Located {
  readonly metadata: ProtectedResourceMetadata
  readonly url: string
}

/** Endpoints that a client may use; each must be a URL it may contact. */
const endpointMembers = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
  'device_authorization_endpoint',
] as const

/**
 * Finds the authorization server of the protected resource: challenge → resource metadata (RFC 9728) → server metadata
 * (RFC 8414, OpenID Connect Discovery), and for servers of MCP 2025-03-26 their own origin.
 */
export class Discovery {
  readonly #context: OAuthContext
  #probes: readonly Probe[] = []
  #announced: readonly string[] = []

  constructor(context: OAuthContext) {
    this.#context = context
  }

  /** The locations that the last discovery asked, in order, each with what became of it. */
  get probes(): readonly Probe[] {
    return this.#probes
  }

  /** Whether a challenge announces metadata elsewhere than what is known was read from. */
  hasMoved(lease: Pick<Lease, 'metadata'>, need: Need): boolean {
    const { known } = lease.metadata
    const announced = this.#locations(need)
    if (known === undefined || announced.length === 0) return false
    const { resourceMetadataUrl: read, announced: before = read === undefined ? [] : [read] } = known
    return announced.join(' ') !== before.join(' ')
  }

  /**
   * The authorization server, from what is known while that is fresh, else from the network. `reread`: ask in any case,
   * as before a registration or a sign-in. Throws an `OAuthDiscoveryError`; what was known stays.
   */
  async discover(lease: Pick<Lease, 'metadata'>, need: Need, o: { reread?: boolean } = {}): Promise<DiscoveredServer> {
    const { known, fresh } = lease.metadata
    const { now, serverUrl, dpop } = this.#context.settings
    if (known !== undefined && fresh && o.reread !== true && !this.hasMoved(lease, need)) {
      checkDpopPolicy(dpop, known, need)
      return known
    }
    const startedAt = now()
    const documents = new MetadataDocuments({ http: this.#context.http, now, protocolVersion: need.protocolVersion })
    let server: DiscoveredServer
    try {
      server = await this.#find(documents, need)
    } finally {
      this.#probes = documents.probes
    }
    if (known !== undefined && sameIssuer(known.issuer, server.issuer)) checkPinned(known, server)
    checkDpopPolicy(dpop, server, need)
    lease.metadata.remember(server)
    const { issuer, resource, legacy } = server
    const told = { origin: new URL(serverUrl).origin, duration: now() - startedAt }
    if (legacy !== undefined) this.#context.events.emit('legacyFallback', { ...told, step: legacy })
    this.#context.events.emit('discovered', { ...told, issuer, resource })
    return server
  }

  async #find(documents: MetadataDocuments, need: Need): Promise<DiscoveredServer> {
    const { authorizationServerMetadata, pinnedIssuer, legacy } = this.#context.settings
    if (authorizationServerMetadata !== undefined) {
      return this.#server(this.#checkedServer(authorizationServerMetadata, authorizationServerMetadata.issuer), {})
    }
    const located = await this.#protectedResource(documents, need)
    const issuer = located === undefined ? pinnedIssuer : this.#chooseIssuer(located)
    if (issuer === undefined) {
      if (legacy === 'off') throw absent(this.#context.settings.serverUrl, documents)
      return this.#legacy(documents, need)
    }
    const metadata = await documents.first(
      authorizationServerMetadataUrls(this.#allowedIssuer(issuer)),
      (document, url) => this.#readServer(document, url, issuer),
    )
    if (metadata === undefined) throw absent(issuer, documents)
    return this.#server(metadata, located === undefined ? {} : { located })
  }

  /** Resource metadata from the announced location first, then the well-known ones; undefined: none is published. */
  async #protectedResource(documents: MetadataDocuments, need: Need): Promise<Located | undefined> {
    const { serverUrl } = this.#context.settings
    const { allowed, refused } = this.#announcedLocations(need)
    const wellKnown = protectedResourceMetadataUrls(serverUrl)
    const urls = [...allowed, ...wellKnown.filter((url) => !allowed.includes(url))]
    const located = await documents.first(urls, (document, url) => this.#readResource(document, url))
    if (located === undefined && refused !== undefined) throw refused
    return located
  }

  /** What challenges announced: a later one without location does not erase an earlier one. */
  #locations(need: Need): readonly string[] {
    const { refusal } = need
    const announced = (refusal?.resourceMetadata ?? []).flatMap(
      (value) => resolveResourceMetadata(value, refusal?.url ?? '') ?? [],
    )
    if (announced.length > 0) this.#announced = announced.slice(0, 5)
    return this.#announced
  }

  /** A forbidden location is never contacted; the well-known ones are tried in its place (THREATS D2). */
  #announcedLocations(need: Need): { allowed: readonly string[]; refused: OAuthFlowError | undefined } {
    const { loopback, publicOnly } = this.#context.settings
    const allowed: string[] = []
    let refused: OAuthFlowError | undefined
    for (const url of this.#locations(need)) {
      try {
        allowed.push(checkEndpoint(url, { name: 'resource_metadata', loopback, publicOnly }))
      } catch (error) {
        if (!isOAuthFlowError(error)) throw error
        refused ??= error
        const origin = new URL(this.#context.settings.serverUrl).origin
        const told = { origin, duration: 0, endpoint: endpointOf(url), code: error.code }
        this.#context.events.emit('urlRefused', told)
      }
    }
    return { allowed, refused }
  }

  #readResource(document: JsonObject, url: string): Located {
    const { serverUrl, resource, resourceMatch, pinnedIssuer } = this.#context.settings
    // RFC 9728 §2 leaves the member out where the client is configured with its authorization server.
    const named = pinnedIssuer === undefined ? document : { authorization_servers: [pinnedIssuer], ...document }
    const metadata = parseProtectedResourceMetadata(named, url)
    if (!coversServerUrl(metadata.resource, serverUrl, resourceMatch) && metadata.resource !== resource) {
      throw new OAuthDiscoveryError(
        `The metadata at ${url} is about ${quote(metadata.resource)}, not about ${quote(serverUrl)}.`,
        {
          code: 'OAUTH_RESOURCE_MISMATCH',
          endpoint: url,
          hint: 'Check serverUrl; where the server is known to name another resource, set the option `resource`.',
        },
      )
    }
    return { metadata, url }
  }

  #chooseIssuer({ metadata, url }: Located): string {
    const { pinnedIssuer, selectAuthorizationServer, loopback } = this.#context.settings
    const listed = metadata.authorization_servers ?? []
    if (pinnedIssuer !== undefined) {
      if (listed.some((issuer) => sameIssuer(issuer, pinnedIssuer))) return pinnedIssuer
      throw new OAuthDiscoveryError(`The resource no longer names the configured issuer ${quote(pinnedIssuer)}.`, {
        code: 'OAUTH_AS_CHANGED',
        endpoint: url,
        hint: 'If the move is genuine, configure the new issuer together with credentials issued by it.',
      })
    }
    const usable = listed.filter((issuer) => isUsableIssuer(issuer, loopback))
    const chosen = selectAuthorizationServer === undefined ? usable[0] : selectAuthorizationServer(usable)
    if (chosen !== undefined && usable.includes(chosen)) return chosen
    for (const issuer of listed) checkEndpoint(issuer, { name: 'authorization_servers', loopback, publicOnly: false })
    throw new OAuthDiscoveryError(`The metadata at ${url} names no authorization server that can be used.`, {
      code: 'OAUTH_METADATA_INVALID',
      endpoint: url,
    })
  }

  #allowedIssuer(issuer: string): string {
    const { loopback, publicOnly, pinnedIssuer } = this.#context.settings
    const configured = issuer === pinnedIssuer
    checkEndpoint(issuer, { name: 'issuer', loopback: loopback || configured, publicOnly: publicOnly && !configured })
    return issuer
  }

  #readServer(document: JsonObject, url: string, expected: string): AuthorizationServerMetadata {
    const metadata = parseAuthorizationServerMetadata(document, url)
    checkIssuer({ received: metadata.issuer, expected, trustedIssuers: this.#context.settings.trustedIssuers ?? [] })
    return this.#checkedServer(metadata, expected)
  }

  /** One endpoint that may not be contacted spoils the document (OAuth 2.1 §1.5). */
  #checkedServer(document: AuthorizationServerMetadata, issuer: string): AuthorizationServerMetadata {
    const { clientInformation, clientMetadata } = this.#context.settings
    const metadata = endpointsFor((clientInformation ?? clientMetadata).token_endpoint_auth_method, document)
    const privateIssuer = isPrivateAddress(new URL(issuer).hostname)
    const rule = { loopback: isLoopbackUrl(issuer), publicOnly: this.#context.settings.publicOnly && !privateIssuer }
    for (const name of endpointMembers) {
      const value = metadata[name]
      if (typeof value === 'string') checkEndpoint(value, { name, ...rule })
    }
    return metadata
  }

  /** MCP 2025-03-26: the server's own origin is its authorization server. */
  async #legacy(documents: MetadataDocuments, need: Need): Promise<DiscoveredServer> {
    const { serverUrl } = this.#context.settings
    const { origin } = new URL(serverUrl)
    const metadata = await documents.first(legacyMetadataUrls(serverUrl), (document, url) =>
      this.#readServer(document, url, origin),
    )
    if (metadata !== undefined) return this.#server(metadata, { legacy: 'metadata', need })
    return this.#server({ ...legacyEndpoints(serverUrl) }, { legacy: 'endpoints', need })
  }

  #server(
    authorizationServer: AuthorizationServerMetadata,
    o: { located?: Located; legacy?: 'metadata' | 'endpoints'; need?: Need },
  ): DiscoveredServer {
    const { settings } = this.#context
    const configured =
      typeof settings.resource === 'string' && settings.resource !== 'auto' ? settings.resource : undefined
    const resource = configured ?? o.located?.metadata.resource ?? canonicalResource(settings.serverUrl)
    const legacyRefuses =
      o.legacy !== undefined && configured === undefined && !speaksResourceParameter(o.need?.protocolVersion)
    return {
      issuer: authorizationServer.issuer,
      resource,
      ...(settings.resource === false || legacyRefuses ? {} : { resourceParameter: resource }),
      ...(o.located === undefined
        ? {}
        : { resourceMetadataUrl: o.located.url, protectedResource: { ...o.located.metadata } }),
      authorizationServer: { ...authorizationServer },
      ...(this.#announced.length === 0 ? {} : { announced: [...this.#announced] }),
      ...(o.legacy === undefined ? {} : { legacy: o.legacy }),
      discoveredAt: settings.now(),
    }
  }
}

function absent(what: string, documents: MetadataDocuments): OAuthDiscoveryError {
  return new OAuthDiscoveryError(`No metadata was found for ${quote(what)}; tried ${documents.summary()}.`, {
    code: 'OAUTH_DISCOVERY_FAILED',
    endpoint: what,
    hint: 'Check the URL, or set `issuer` or `authorizationServerMetadata`.',
  })
}

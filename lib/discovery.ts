import { AnnouncedLocations } from './metadata/announced-locations'
import type { OAuthContext } from './context'
import { endpointOf, OAuthDiscoveryError, quote } from './errors'
import { checkPinned } from './metadata/discovered-server'
import { checkDpopPolicy } from './dpop-option'
import type { Lease } from './state/lease'
import { MetadataDocuments, type Probe } from './metadata/metadata-documents'
import { speaksResourceParameter, type Need, type Refusal } from './need'
import { checkEndpoint } from './protocol/endpoint'
import { isUsableIssuer, sameIssuer } from './protocol/issuer'
import type { JsonObject } from './protocol/json'
import { parseProtectedResourceMetadata } from './protocol/metadata'
import type { AuthorizationServerMetadata, ProtectedResourceMetadata } from './protocol/metadata'
import { canonicalResource, coversServerUrl } from './protocol/resource'
import {
  authorizationServerMetadataUrls,
  legacyEndpoints,
  legacyMetadataUrls,
  protectedResourceMetadataUrls,
} from './protocol/well-known'
import { checkServerMetadata, isIntact, readServerMetadata } from './metadata/server-metadata'
import type { DiscoveredServer } from './storage/record'

/** What one discovery is for, and where challenges said to look. */
interface Search {
  readonly need: Need
  readonly announced: readonly string[]
}

interface Located {
  readonly metadata: ProtectedResourceMetadata
  readonly url: string
}

/**
 * Finds the authorization server of the protected resource: challenge → resource metadata (RFC 9728) → server metadata
 * (RFC 8414, OpenID Connect Discovery), and for servers of MCP 2025-03-26 their own origin.
 */
export class Discovery {
  readonly #context: OAuthContext
  readonly #locations: AnnouncedLocations
  #probes: readonly Probe[] = []
  /** The refusal for which metadata was read last. */
  #readFor: Refusal | undefined

  constructor(context: OAuthContext) {
    this.#context = context
    this.#locations = new AnnouncedLocations(context)
  }

  /** The locations that the last discovery asked, in order, each with what became of it. */
  get probes(): readonly Probe[] {
    return this.#probes
  }

  /**
   * Whether what is known must be read again before anything is sent for it: a challenge announces metadata elsewhere, it
   * was dropped since, or it was damaged in the storage.
   */
  isInDoubt({ metadata }: Pick<Lease, 'metadata'>, need: Need): boolean {
    const { known, dropped } = metadata
    return (
      known !== undefined &&
      (dropped || this.#locations.differ(known, need) || !isIntact(this.#context.settings, known))
    )
  }

  /**
   * The authorization server, from what is known while that is fresh, else from the network. `reread`: ask in any case,
   * as before a registration or a sign-in, unless the same refusal was asked for already. Throws an
   * `OAuthDiscoveryError`; what was known stays.
   */
  async discover(lease: Pick<Lease, 'metadata'>, need: Need, o: { reread?: boolean } = {}): Promise<DiscoveredServer> {
    const { known, fresh } = lease.metadata
    const wasRead = o.reread !== true || (need.refusal !== undefined && need.refusal === this.#readFor)
    const { now, serverUrl, dpop } = this.#context.settings
    if (known !== undefined && fresh && wasRead && !this.isInDoubt(lease, need)) {
      checkDpopPolicy(dpop, known, need)
      return known
    }
    const startedAt = now()
    const documents = new MetadataDocuments({ http: this.#context.http, now, protocolVersion: need.protocolVersion })
    let server: DiscoveredServer
    try {
      server = await this.#find(documents, { need, announced: this.#locations.of(need, known) })
    } finally {
      this.#probes = documents.probes
    }
    if (known !== undefined && sameIssuer(known.issuer, server.issuer)) checkPinned(known, server)
    checkDpopPolicy(dpop, server, need)
    lease.metadata.remember(server)
    this.#readFor = need.refusal
    const { issuer, resource, legacy } = server
    const told = { origin: new URL(serverUrl).origin, duration: now() - startedAt }
    if (legacy !== undefined) this.#context.events.emit('legacyFallback', { ...told, step: legacy })
    this.#context.events.emit('discovered', { ...told, issuer, resource })
    return server
  }

  async #find(documents: MetadataDocuments, search: Search): Promise<DiscoveredServer> {
    const { settings } = this.#context
    const { authorizationServerMetadata, pinnedIssuer, legacy } = settings
    if (authorizationServerMetadata !== undefined) {
      const configured = authorizationServerMetadata
      return this.#server(checkServerMetadata(settings, configured, configured.issuer), { search })
    }
    const located = await this.#protectedResource(documents, search)
    const issuer = located === undefined ? pinnedIssuer : this.#chooseIssuer(located)
    if (issuer === undefined) {
      if (legacy === 'off') throw absent(settings.serverUrl, documents)
      return this.#legacy(documents, search)
    }
    const metadata = await documents.first(
      authorizationServerMetadataUrls(this.#allowedIssuer(issuer)),
      (document, url) => readServerMetadata(settings, document, { url, expected: issuer }),
    )
    if (metadata === undefined) throw absent(issuer, documents)
    return this.#server(metadata, { search, ...(located === undefined ? {} : { located }) })
  }

  /** Resource metadata from the announced location first, then the well-known ones; undefined: none is published. */
  async #protectedResource(documents: MetadataDocuments, { announced }: Search): Promise<Located | undefined> {
    const { serverUrl } = this.#context.settings
    const { allowed, refused } = this.#locations.allowed(announced)
    const wellKnown = protectedResourceMetadataUrls(serverUrl)
    const urls = [...allowed, ...wellKnown.filter((url) => !allowed.includes(url))]
    const located = await documents.first(urls, (document, url) => this.#readResource(document, url))
    if (located === undefined && refused !== undefined) throw refused
    return located
  }

  #readResource(document: JsonObject, url: string): Located {
    const { serverUrl, resource, resourceMatch, pinnedIssuer } = this.#context.settings
    // RFC 9728 §2 leaves the member out where the client is configured with its authorization server.
    const named = pinnedIssuer === undefined ? document : { authorization_servers: [pinnedIssuer], ...document }
    const metadata = parseProtectedResourceMetadata(named, url)
    if (!coversServerUrl(metadata.resource, serverUrl, resourceMatch) && metadata.resource !== resource) {
      throw new OAuthDiscoveryError(
        `The metadata at ${endpointOf(url)} is about ${quote(metadata.resource)}, not about ${quote(serverUrl)}.`,
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
    const [first] = usable
    if (first === undefined) throw unusable(listed, { url, loopback })
    const chosen = selectAuthorizationServer === undefined ? first : selectAuthorizationServer(usable)
    if (usable.includes(chosen)) return chosen
    throw new OAuthDiscoveryError(
      `selectAuthorizationServer chose ${quote(chosen)}, which the metadata at ${endpointOf(url)} does not name.`,
      { code: 'OAUTH_METADATA_INVALID', endpoint: url, hint: 'Choose one of the issuers that the callback is given.' },
    )
  }

  #allowedIssuer(issuer: string): string {
    const { loopback, publicOnly, pinnedIssuer } = this.#context.settings
    const configured = issuer === pinnedIssuer
    checkEndpoint(issuer, { name: 'issuer', loopback: loopback || configured, publicOnly: publicOnly && !configured })
    return issuer
  }

  /** MCP 2025-03-26: the server's own origin is its authorization server. */
  async #legacy(documents: MetadataDocuments, search: Search): Promise<DiscoveredServer> {
    const { settings } = this.#context
    const { serverUrl } = settings
    const { origin } = new URL(serverUrl)
    const metadata = await documents.first(legacyMetadataUrls(serverUrl), (document, url) =>
      readServerMetadata(settings, document, { url, expected: origin }),
    )
    if (metadata !== undefined) return this.#server(metadata, { legacy: 'metadata', search })
    return this.#server({ ...legacyEndpoints(serverUrl) }, { legacy: 'endpoints', search })
  }

  #server(
    authorizationServer: AuthorizationServerMetadata,
    o: { search: Search; located?: Located; legacy?: 'metadata' | 'endpoints' },
  ): DiscoveredServer {
    const { settings } = this.#context
    const configured =
      typeof settings.resource === 'string' && settings.resource !== 'auto' ? settings.resource : undefined
    const resource = configured ?? o.located?.metadata.resource ?? canonicalResource(settings.serverUrl)
    const legacyRefuses =
      o.legacy !== undefined && configured === undefined && !speaksResourceParameter(o.search.need.protocolVersion)
    return {
      issuer: authorizationServer.issuer,
      resource,
      ...(settings.resource === false || legacyRefuses ? {} : { resourceParameter: resource }),
      ...(o.located === undefined
        ? {}
        : { resourceMetadataUrl: o.located.url, protectedResource: { ...o.located.metadata } }),
      authorizationServer: { ...authorizationServer },
      ...(o.search.announced.length === 0 ? {} : { announced: [...o.search.announced] }),
      ...(o.legacy === undefined ? {} : { legacy: o.legacy }),
      discoveredAt: settings.now(),
    }
  }
}

/** Says of a list without usable authorization server why: the URL that may not be asked, if there is one. */
function unusable(listed: readonly string[], o: { url: string; loopback: boolean }): OAuthDiscoveryError {
  const rule = { name: 'authorization_servers', loopback: o.loopback, publicOnly: false }
  for (const issuer of listed) checkEndpoint(issuer, rule)
  return new OAuthDiscoveryError(
    `The metadata at ${endpointOf(o.url)} names no authorization server that can be used.`,
    { code: 'OAUTH_METADATA_INVALID', endpoint: o.url },
  )
}

function absent(what: string, documents: MetadataDocuments): OAuthDiscoveryError {
  const shown = quote(endpointOf(what) ?? what)
  return new OAuthDiscoveryError(`No metadata was found for ${shown}; tried ${documents.summary()}.`, {
    code: 'OAUTH_DISCOVERY_FAILED',
    endpoint: what,
    hint: 'Check the URL, or set `issuer` or `authorizationServerMetadata`.',
  })
}

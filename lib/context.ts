import { withDeadline } from './deadline'
import { Events } from './events'
import { renderByJson } from './inspect'
import { Http, type Transport } from './http'
import type { Lease } from './state/lease'
import { knownServer, openLease, tokensInForce, type LeaseState } from './state/lease-state'
import { Mutex } from './mutex'
import { speaksResourceParameter } from './need'
import { Reentrance } from './reentrance'
import type { AuthorizationServerMetadata, ProtectedResourceMetadata } from './protocol/metadata'
import { canonicalResource } from './protocol/resource'
import { freshness } from './protocol/lifetime'
import type { Settings } from './settings'
import type { DiscoveredServer, GrantRecord, KnownClient, TokenSet } from './storage/record'
import { Session } from './storage/session'
import { Store } from './storage/store'

/** Milliseconds that work under the lock may take; its requests have shorter deadlines of their own. */
const leaseDeadline = 30_000

/**
 * The state that `Discovery`, `Registrar`, `PkceFlow` and `TokenEndpoint` share, behind one lock: what was discovered, as
 * which client we are known, the tokens and their expiry. Reading is free; changing needs a {@link Lease}, and
 * {@link OAuthContext.exclusive} is the only source of one. The counterpart of the MCP Python SDK's `OAuthContext`.
 */
export class OAuthContext {
  static {
    renderByJson(this)
  }

  readonly settings: Settings
  /** Tells who is waited for under the lock or in a sign-in. */
  readonly reentrance: Reentrance = new Reentrance()
  readonly events: Events = new Events((listener) => this.reentrance.apart(listener))
  readonly http: Http
  /** The lock. It guards the acquisition of a token and nothing else: never a request of the application, nor a person. */
  readonly lock: Mutex = new Mutex()
  readonly #store: Store
  readonly #session: Session
  readonly #state: LeaseState
  #loaded = false

  /** `transport`: what requests of our own take from the attached instance. Default: axios's own defaults. */
  constructor(settings: Settings, transport: () => Transport = () => ({})) {
    const { serverUrl, storage, now, requestTimeout, metadataMaxAge: maxAge } = settings
    this.settings = settings
    this.http = new Http({ transport, deadline: requestTimeout })
    this.#store = new Store({ storage, events: this.events, origin: new URL(serverUrl).origin })
    this.#session = new Session(this.#store, {
      serverUrl: canonicalResource(serverUrl),
      partition: settings.partition ?? null,
      issuer: settings.pinnedIssuer ?? null,
      client: settings.clientInformation?.client_id ?? settings.clientMetadataUrl ?? null,
    })
    this.#state = { session: this.#session, store: this.#store, now, maxAge, server: undefined, staleBefore: 0 }
  }

  /** Whether the storage has been read and memory can answer. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** Reads the storage once, before the first use. Rejects with `OAUTH_STORE_READ` or `OAUTH_STORE_CORRUPT`. */
  async load(): Promise<void> {
    if (this.#loaded) return
    await this.#alone(async () => {
      if (!this.#loaded) await this.#session.load()
      this.#loaded = true
    })
  }

  /**
   * Runs work with a {@link Lease}: under the lock of this context and, where the storage has one, the storage's, after
   * the stored records have been read again. Rejects with `OAUTH_STORE_LOCK` (retryable) when the lock cannot be had in
   * 15 s, and with `OAUTH_TIMEOUT` when the work takes longer than 30 s; either way the next caller gets the lock. Code
   * that the lock waits for gets `OAUTH_CONFLICT`, where the runtime can tell it apart.
   */
  exclusive<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      if (!this.#loaded) await this.#session.load()
      return this.#locked(work, 3)
    })
  }

  /** Under the lock of this context, which code that runs under it must not wait for. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.reentrance.refuse('lock')
    return this.lock.run(() => this.reentrance.run('lock', work))
  }

  async #locked<T>(work: (lease: Lease) => Promise<T>, tries: number): Promise<T> {
    const key = await this.#session.lockKey()
    const outcome = await this.#store.exclusive(key, async () => {
      await this.#store.flush()
      await this.#session.load()
      this.#loaded = true
      // Another process may have moved the session to another grant while this one waited for the lock.
      if (tries > 1 && (await this.#session.lockKey()) !== key) return { moved: true as const }
      return { moved: false as const, value: await this.#leased(work) }
    })
    return outcome.moved ? this.#locked(work, tries - 1) : outcome.value
  }

  async #leased<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    const { lease, end } = openLease(this.#state, this.#state.now() + leaseDeadline)
    try {
      return await withDeadline(() => work(lease), leaseDeadline, 'changing the session')
    } finally {
      end()
    }
  }

  /** The grant in use, as last read or written. */
  get grant(): GrantRecord | undefined {
    return this.#session.grant
  }

  /** The authorization server in use. */
  get server(): DiscoveredServer | undefined {
    return knownServer(this.#state)
  }

  get protectedResourceMetadata(): ProtectedResourceMetadata | undefined {
    return this.server?.protectedResource as ProtectedResourceMetadata | undefined
  }

  get authorizationServerMetadata(): AuthorizationServerMetadata | undefined {
    return this.server?.authorizationServer as AuthorizationServerMetadata | undefined
  }

  /** The client as which we are known, with how it came to be known. */
  get clientInformation(): KnownClient | undefined {
    return this.grant?.client
  }

  get currentTokens(): TokenSet | undefined {
    return tokensInForce(this.#state)
  }

  /** When the current access token expires, in milliseconds since the epoch; undefined when that is unknown. */
  get tokenExpiresAt(): number | undefined {
    return this.currentTokens?.expiresAt
  }

  /** {@link authorizationServerMetadata} under the name of the MCP Python SDK. */
  get oauthMetadata(): AuthorizationServerMetadata | undefined {
    return this.authorizationServerMetadata
  }

  /** The issuer in use, under the name of the MCP Python SDK. */
  get authServerUrl(): string | undefined {
    return this.server?.issuer
  }

  /** {@link clientInformation} under the name of the MCP Python SDK. */
  get clientInfo(): KnownClient | undefined {
    return this.clientInformation
  }

  /** {@link tokenExpiresAt} under the name of the MCP Python SDK. */
  get tokenExpiryTime(): number | undefined {
    return this.tokenExpiresAt
  }

  /** Removes the tokens from memory and storage without telling the server; `signOut()` of the provider revokes them too. */
  clearTokens(): Promise<void> {
    return this.exclusive((lease) => lease.tokens.clear())
  }

  /** Whether the storage has not taken the latest state yet; it is tried again at the next use. */
  get isStorageBehind(): boolean {
    return this.#store.isBehind
  }

  /** Whether several processes may share the storage. */
  get sharedBetweenProcesses(): boolean {
    return this.#store.lockable
  }

  /** Whether there is an access token that has not expired; one of unknown lifetime counts until it is refused. */
  isTokenValid(): boolean {
    const tokens = this.currentTokens
    return tokens !== undefined && freshness(tokens, this.settings.now()) !== 'expired'
  }

  /** Whether refresh token and client identity are both known. */
  canRefreshToken(): boolean {
    return this.currentTokens?.refresh_token !== undefined && this.clientInformation !== undefined
  }

  /** The resource that tokens are asked for: the configured one, else the metadata's own spelling, else the server URL. */
  getResourceUrl(): string {
    const { resource, serverUrl } = this.settings
    if (typeof resource === 'string' && resource !== 'auto') return resource
    return this.protectedResourceMetadata?.resource ?? canonicalResource(serverUrl)
  }

  /**
   * Whether the `resource` parameter (RFC 8707) is sent: when resource metadata is known, or the triggering request spoke
   * MCP 2025-06-18 or later. Servers before that refuse the parameter.
   */
  shouldIncludeResourceParam(protocolVersion?: string): boolean {
    if (this.settings.resource === false) return false
    if (this.server !== undefined && this.server.legacy === undefined) return true
    return speaksResourceParameter(protocolVersion)
  }

  /** Tokens, secrets and verifiers are in no rendering. */
  toJSON(): Record<string, unknown> {
    const { serverUrl, partition } = this.settings
    return { serverUrl, partition, issuer: this.server?.issuer, tokenExpiresAt: this.tokenExpiresAt }
  }
}

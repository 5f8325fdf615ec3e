import type { AxiosInstance } from 'axios'
import { attach } from './adapter'
import { OAuthContext } from './context'
import { Discovery } from './discovery'
import type { ClientSource, OAuthEvents } from './events'
import type { Transport } from './http'
import { renderByJson } from './inspect'
import type { Probe } from './metadata/metadata-documents'
import { unlessAborted } from './mutex'
import type { Need } from './need'
import type { OAuthOptions } from './options'
import { authorizationCode } from './pkce-flow'
import { Registrar } from './registrar'
import { ResourceClient, type LastFailure } from './request/resource-client'
import { readSettings } from './settings'
import { signOut } from './sign-out'
import { TokenEndpoint } from './token-endpoint'
import { TokenSource } from './token-source'
import type { Verbs } from './verbs'

/** What {@link OAuthClientProvider.describe} tells for a report. Never a secret. */
export interface ProviderDescription {
  readonly serverUrl: string
  readonly partition: string | undefined
  readonly grant: string
  /** `none`: nobody has signed in; `valid`; `renewable`: expired and renewed at the next use; `ended`. */
  readonly session: 'none' | 'valid' | 'renewable' | 'ended'
  readonly resource: string
  readonly issuer: string | undefined
  readonly legacy: 'metadata' | 'endpoints' | undefined
  readonly clientId: string | undefined
  readonly clientSource: ClientSource | undefined
  readonly scope: string | undefined
  /** When the access token expires, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  readonly refreshable: boolean
  /** Whether the storage has a lock; without one only one process may use the session. */
  readonly sharedBetweenProcesses: boolean
  /** Whether sessions end with this process: no storage was configured. */
  readonly inMemoryOnly: boolean
  /** The locations asked by the last discovery, each with what became of it. */
  readonly discovery: readonly Probe[]
  readonly lastFailure: LastFailure | undefined
}

/**
 * Signs in at the authorization server of one protected resource and keeps its tokens valid. Attach it to axios instances,
 * or ask it for tokens. Throws a `TypeError` at construction for a wrong option; everything else rejects with an
 * `OAuthFlowError`. The counterpart of the MCP Python SDK's `OAuthClientProvider`.
 */
export class OAuthClientProvider {
  static {
    renderByJson(this)
  }

  readonly context: OAuthContext
  /** @internal What the adapter works with. */
  readonly resourceClient: ResourceClient
  readonly #verbs: Verbs
  readonly #source: TokenSource
  readonly #inMemoryOnly: boolean
  readonly #attached = new Map<AxiosInstance, () => void>()

  constructor(options: OAuthOptions) {
    const settings = readSettings(options, authorizationCode())
    const context = new OAuthContext(settings, () => this.#transport())
    this.context = context
    this.#verbs = {
      context,
      discovery: new Discovery(context),
      registrar: new Registrar(context),
      tokenEndpoint: new TokenEndpoint(context),
    }
    this.#source = new TokenSource(this.#verbs)
    this.resourceClient = new ResourceClient(this.#source)
    this.#inMemoryOnly = options.storage === undefined
  }

  /** Authorizes every request of the instance to the resource. Attaching twice is a no-op. Gives the instance. */
  attach(instance: AxiosInstance): AxiosInstance {
    if (!this.#attached.has(instance)) this.#attached.set(instance, attach(instance, this.resourceClient))
    return instance
  }

  /** Removes everything from one instance, or from all; requests that wait for a token reject with `OAUTH_ABORTED`. */
  detach(instance?: AxiosInstance): void {
    const instances = instance === undefined ? [...this.#attached.keys()] : [instance]
    for (const one of instances) {
      this.#attached.get(one)?.()
      this.#attached.delete(one)
    }
  }

  /**
   * A valid access token, for transports that are not axios: sockets, gRPC, reconnecting streams. `minValidity`:
   * milliseconds it must still be valid. `signal` ends this wait only. A token bound to a DPoP key is refused there: its
   * proofs are made for requests of attached instances only.
   */
  async getAccessToken(o: { signal?: AbortSignal; minValidity?: number } = {}): Promise<string> {
    return this.#noting(async () => {
      const { minValidity, signal } = o
      await unlessAborted(this.context.load(), signal)
      const tokens = await this.#source.obtain(minValidity === undefined ? {} : { minValidity }, signal)
      return tokens.access_token
    })
  }

  /** Signs in now, whatever the present session; `scope` is asked for besides what is granted. */
  async authorize(o: { scope?: string; signal?: AbortSignal } = {}): Promise<void> {
    await this.#noting(() => this.#source.obtain(this.#signInNeed(o.scope), o.signal))
  }

  /**
   * Begins a sign-in that {@link finishAuthorization} ends, perhaps in another process over the same storage, within ten
   * minutes. Keep `state` with the person's browser session and compare it before finishing.
   */
  async startAuthorization(o: { scope?: string } = {}): Promise<{ url: string; state: string }> {
    return this.#noting(() => this.#source.desk.start({ ...this.#signInNeed(o.scope), unattended: true }))
  }

  /** Ends a sign-in with the callback URL or query. Rejects with `OAUTH_STATE_MISMATCH` for one that is not under way. */
  async finishAuthorization(callback: string | URL | URLSearchParams): Promise<void> {
    await this.#noting(() => this.#source.desk.finish(callback))
  }

  /**
   * Ends the session: revokes the tokens where the server can (RFC 7009) unless `revoke` is false, and removes them from
   * memory and storage whatever the server answers. The registration stays. Rejects with `OAUTH_STORE_WRITE` when the
   * storage could not be written; memory is empty all the same.
   */
  async signOut(o: { revoke?: boolean } = {}): Promise<void> {
    this.#source.forgetSession()
    await this.#noting(() => signOut(this.#verbs, o.revoke ?? true))
  }

  /** What was discovered, registered and granted, and what failed last; reads the storage. */
  async describe(): Promise<ProviderDescription> {
    await this.context.load()
    const { settings, server, grant, currentTokens, clientInformation } = this.context
    return {
      serverUrl: settings.serverUrl,
      partition: settings.partition,
      grant: settings.grant.name,
      session: this.#session(),
      resource: this.context.getResourceUrl(),
      issuer: server?.issuer,
      legacy: server?.legacy,
      clientId: clientInformation?.client_id,
      clientSource: clientInformation?.source,
      scope: grant?.tokens?.scope,
      expiresAt: currentTokens?.expiresAt,
      refreshable: this.context.canRefreshToken(),
      sharedBetweenProcesses: this.context.sharedBetweenProcesses,
      inMemoryOnly: this.#inMemoryOnly,
      discovery: this.#verbs.discovery.probes,
      lastFailure: this.resourceClient.lastFailure,
    }
  }

  /** Adds a listener for an event; the function returned removes it. */
  on<E extends keyof OAuthEvents>(event: E, listener: (e: OAuthEvents[E]) => void): () => void {
    return this.context.events.on(event, listener)
  }

  toJSON(): Record<string, unknown> {
    return this.context.toJSON()
  }

  /** A sign-in in so many words; what the resource's last challenge asked for is asked for. */
  #signInNeed(scope: string | undefined): Need {
    const refusal = this.resourceClient.recall(undefined, this.context.settings.serverUrl)
    return { signIn: true, ...(scope === undefined ? {} : { scope }), ...(refusal === undefined ? {} : { refusal }) }
  }

  #session(): ProviderDescription['session'] {
    const { grant } = this.context
    if (this.context.isTokenValid()) return 'valid'
    if (this.context.canRefreshToken()) return 'renewable'
    return grant?.tokens !== undefined || grant?.endedAt !== undefined ? 'ended' : 'none'
  }

  /** Our own requests take the network path of the instance: its adapter, agents and proxy as they are now. */
  #transport(): Transport {
    const [instance = this.resourceClient.carrier] = this.#attached.keys()
    if (instance === undefined) return {}
    const own = <K extends keyof Transport>(name: K): Pick<Transport, K> =>
      Object.hasOwn(instance.defaults, name)
        ? ({ [name]: instance.defaults[name] } as Pick<Transport, K>)
        : ({} as Pick<Transport, K>)
    return { ...own('adapter'), ...own('httpAgent'), ...own('httpsAgent'), ...own('proxy') }
  }

  async #noting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.resourceClient.noteFailure(error)
    }
  }
}

import type { CreateAxiosDefaults } from 'axios'
import type { OAuthOptions } from 'axios-oauth2'
import type { AuthorizationServer } from './authorization-server'
import type { Client } from './clients'
import type { Clock } from './clock'
import { connectTo, optionsIn, type Connection, type ConnectOptions, type Surroundings } from './connect'
import { pathOf, type Answering, type Endpoint, type Entry, type ServerName } from './entry'
import type { AnswerOptions, Gate, Script } from './script'
import type { Secrets } from './secrets'
import type { Servers } from './servers'
import type { WorldSettings } from './settings'
import type { TokenBook } from './token-book'
import { User } from './user'

/** What a world is put together from. */
export interface Parts {
  readonly settings: WorldSettings
  readonly clock: Clock
  readonly secrets: Secrets
  readonly script: Script
  readonly book: TokenBook
  readonly authorizationServer: AuthorizationServer
  readonly servers: Servers
  readonly journal: Entry[]
}

/** An honest world: protected API, authorization server, a stranger, a person and a clock. */
export class World {
  readonly user: User = new User()
  readonly clock: Clock
  readonly journal: readonly Entry[]
  readonly serverUrl: string
  readonly issuer: string
  readonly origin: Readonly<Record<ServerName, string>>
  /** The redirect URI of clients that `connect` configures; nobody listens there. */
  readonly redirectUri = 'http://127.0.0.1:8765/callback'
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
    this.clock = parts.clock
    this.journal = parts.journal
    this.serverUrl = parts.settings.serverUrl
    this.issuer = parts.settings.issuer
    this.origin = parts.servers.origin
  }

  /** Closes everything with all its connections; rejects if a spec's own answer threw. */
  async stop(): Promise<void> {
    this.user.stop()
    this.#parts.script.releaseAll()
    await this.#parts.servers.stop()
  }

  options(o: ConnectOptions = {}): OAuthOptions {
    return optionsIn(this.#surroundings(), o)
  }

  connect(o: ConnectOptions = {}, config: CreateAxiosDefaults = {}): Connection {
    return connectTo(this.#surroundings(), o, config)
  }

  requests(endpoint: Endpoint): Entry[] {
    return this.journal.filter((entry) => entry.endpoint === endpoint)
  }

  count(endpoint: Endpoint): number {
    return this.requests(endpoint).length
  }

  /** `rs GET /mcp`: server, method and path of every request. */
  order(): string[] {
    return this.journal.map((entry) => `${entry.server} ${entry.method} ${pathOf(entry)}`)
  }

  /** `api 401`: endpoint and status of every request. */
  steps(): string[] {
    return this.journal.map(({ endpoint, status }) => `${endpoint} ${status}`)
  }

  /** Empties the journal; secrets stay known. */
  forget(): void {
    this.#parts.journal.length = 0
  }

  answer(endpoint: Endpoint, answering: Answering, o?: AnswerOptions): () => void {
    return this.#parts.script.answer(endpoint, answering, o)
  }

  hold(endpoint: Endpoint): Gate<Entry> {
    return this.#parts.script.hold(endpoint)
  }

  /** Registers a client beforehand, with a secret unless its method is `none`; the result fits `clientInformation`. */
  addClient(client: Partial<Client> = {}): Client {
    return this.#parts.authorizationServer.clients.add({ redirect_uris: [this.redirectUri], ...client })
  }

  /** The authorization server loses all registrations. */
  forgetClients(): void {
    this.#parts.authorizationServer.clients.forgetAll()
  }

  /** Time passes until every access token has expired; the resource server refuses them. */
  expireTokens(): void {
    this.clock.advance(((this.#parts.settings.expiresIn ?? 0) + 1) * 1000)
    this.revokeAccessTokens()
  }

  /** The resource server refuses the access tokens issued so far. */
  revokeAccessTokens(): void {
    this.#parts.book.revokeAccessTokens()
  }

  /** The refresh tokens issued so far are dead; access tokens live on. */
  endSession(): void {
    this.#parts.book.endSessions()
  }

  liveAccessToken(): string {
    const token = this.#parts.book.live()
    if (token === undefined) throw new Error('No access token is live.')
    return token.value
  }

  get reuseDetections(): number {
    return this.#parts.book.reuseDetections
  }

  secrets(): string[] {
    return this.#parts.secrets.all()
  }

  leaksIn(value: unknown): string[] {
    return this.#parts.secrets.leaksIn(value)
  }

  #surroundings(): Surroundings {
    const { serverUrl, redirectUri, user } = this
    return { serverUrl, redirectUri, user, clock: this.#parts.settings.clock ? this.clock : undefined }
  }
}

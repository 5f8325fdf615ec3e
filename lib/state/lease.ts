import type {
  DiscoveredServer,
  GrantRecord,
  KnownClient,
  PointerRecord,
  TokenSet,
  TransactionRecord,
} from '../storage/record'

/** What was discovered. */
export interface MetadataLease {
  /** The server as last discovered, by this process or as recorded. */
  readonly known: DiscoveredServer | undefined
  /** Whether what is known may be used without asking again. */
  readonly fresh: boolean
  /** Whether what is known has been dropped since: not even a refresh may rely on it. */
  readonly dropped: boolean
  remember(server: DiscoveredServer): void
  /** Makes the next acquisition discover anew. */
  expire(): void
}

/** The clients this session is known as. */
export interface ClientLease {
  /** The clients registered at an issuer, newest first, with the grants they belong to. */
  at(issuer: string): Promise<readonly GrantRecord[]>
  /** Stores a client; the session in use stays in use. */
  save(server: DiscoveredServer, client: KnownClient): Promise<void>
  /** Whether the session has been with several servers or as several clients. */
  readonly several: boolean
  forget(server: DiscoveredServer, clientId: string): Promise<void>
  /** Marks a dynamic registration that its issuer calls unknown: it is not used again. */
  reject(issuer: string, clientId: string): Promise<void>
  /** Removes what was marked so at an issuer, once another registration has worked. */
  forgetRejected(issuer: string): Promise<void>
  /** Where the static secret was first used. */
  readonly pin: PointerRecord['pin']
  setPin(pin: NonNullable<PointerRecord['pin']>): Promise<void>
}

/** The tokens of the grant in use. */
export interface TokenLease {
  readonly grant: GrantRecord | undefined
  /** Its tokens; undefined when the resource names another authorization server by now. */
  readonly current: TokenSet | undefined
  /** Persists, then publishes. Gives what is in force afterwards: another process may have been faster. */
  save(o: {
    server: DiscoveredServer
    client: KnownClient
    tokens: TokenSet
    requestedScope: string | undefined
  }): Promise<TokenSet>
  /**
   * Ends the session of a rejected refresh token. The access token stays in use when it is still good; both stay when
   * the store holds another refresh token by now. Gives whether the session ended.
   */
  end(refreshToken: string, o: { keepAccessToken: boolean }): Promise<boolean>
  /** Removes the tokens of every grant of the session; the registrations stay. */
  clear(): Promise<void>
}

/** The authorizations that wait for their callback. */
export interface TransactionLease {
  open(state: string, transaction: TransactionRecord): Promise<void>
  /** The clients of sign-ins that nobody came back from in time. */
  readonly abandoned: readonly string[]
  /** Whether a sign-in with this state can still be finished. */
  isOpen(state: string): Promise<boolean>
  /** Reads a transaction that can still be finished. Rejects with `OAUTH_STATE_MISMATCH` and the reason. */
  find(state: string): Promise<TransactionRecord>
  /** Marks the state as used and removes what is secret, before its code is presented. */
  use(state: string): Promise<void>
  /** Removes a transaction that ended without an answer. */
  discard(state: string): Promise<void>
  /** Removes every open transaction. */
  clear(): Promise<void>
}

/**
 * The right to read, change and write the session's state. The context hands it to work under the lock, and it is dead
 * when that work has settled. Take the slice you need: `Pick<Lease, 'clients'>`.
 */
export interface Lease {
  /** When it ends at the latest, in milliseconds since the epoch. */
  readonly until: number
  readonly metadata: MetadataLease
  readonly clients: ClientLease
  readonly tokens: TokenLease
  readonly transactions: TransactionLease
}

import type { OAuthContext } from '../context'
import type { Lease } from '../state/lease'
import type { DiscoveredServer, KnownClient, TokenSet } from '../storage/record'
import type { Need } from '../need'
import type { Verbs } from '../verbs'

/** What a silent grant may know when it presents its parameters. */
export interface GrantRequest {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  readonly scope: string | undefined
  /** For grants that ask another server first: our own requests, bounded and without redirects, and the settings. */
  readonly context: Pick<OAuthContext, 'http' | 'settings'>
}

/** A grant that presents parameters and involves nobody: client credentials, an assertion, an exchanged token. */
export interface SilentGrant {
  readonly kind: 'silent'
  readonly name: string
  /** The kind of token that must come back, where the grant asks for one (RFC 8693 §2.2.1). */
  readonly issuedTokenType?: string
  /** The members of the token request beyond scope, resource and client authentication; `grant_type` among them. */
  parameters(request: GrantRequest): Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>
}

/** A grant that involves a person: authorization code, device code. */
export interface InteractiveGrant {
  readonly kind: 'interactive'
  readonly name: string
  /** The flow over the verbs of one provider; made once. */
  flow(verbs: Verbs): InteractiveFlow
}

/**
 * The steps of an interactive grant. `begin`, `complete` and `abandon` run under the lock; `visit` does not and may take
 * minutes.
 */
export interface InteractiveFlow {
  /** Whether there is a way to ask a person. Without one a needed sign-in rejects with its URL. */
  readonly canAsk: boolean
  /** Makes everything ready to ask: discovers, registers, stores what the answer will be checked against. */
  begin(lease: Lease, need: Need): Promise<SignIn>
  /** Asks the person and gives what {@link complete} needs. Must end when the signal aborts. */
  visit(signIn: SignIn, signal: AbortSignal): Promise<unknown>
  /** Earns and stores the tokens. */
  complete(lease: Lease, answer: unknown): Promise<TokenSet>
  /** Cleans up after a visit that failed. */
  abandon(lease: Lease, signIn: SignIn): Promise<void>
}

/** A sign-in that has begun. */
export interface SignIn {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  readonly scope: string | undefined
  /** When it cannot be finished any more, in milliseconds since the epoch. */
  readonly expiresAt: number
  /** Where a person signs in, and the state that comes back; for grants that have such a URL. */
  readonly authorizationUrl?: string
  readonly state?: string
}

/** How tokens are earned. */
export type Grant = SilentGrant | InteractiveGrant

import { OAuthFlowError } from '../errors'
import type { ClientLease, Lease, MetadataLease, TokenLease } from './lease'
import { sha256Base64url } from '../protocol/encoding'
import { sameIssuer } from '../protocol/issuer'
import { unionScope } from '../protocol/scope'
import type { DiscoveredServer, TokenSet } from '../storage/record'
import type { Session } from '../storage/session'
import { transactionLease, type TransactionState } from './transaction-lease'

/** What a lease works on. */
export interface LeaseState extends TransactionState {
  /** Milliseconds that discovery results are trusted. */
  readonly maxAge: number
  /** The server as last discovered by this process. */
  server: DiscoveredServer | undefined
  /** Discovery results from then or before are not used again. */
  staleBefore: number
}

const rememberedDead = 5

/** Makes a lease; `end` kills it. */
export function openLease(state: LeaseState, until: number): { lease: Lease; end: () => void } {
  const slices: Lease = {
    until,
    metadata: metadataLease(state),
    clients: clientLease(state),
    tokens: tokenLease(state),
    transactions: transactionLease(state),
  }
  let alive = true
  const lease = new Proxy(slices, {
    get: (target, name: keyof Lease) => {
      if (alive) return target[name]
      throw new OAuthFlowError('Session state was touched after its lock had been released.', {
        code: 'OAUTH_STORE_LOCK',
        phase: 'storage',
        retryable: true,
      })
    },
  })
  return { lease, end: () => void (alive = false) }
}

function metadataLease(state: LeaseState): MetadataLease {
  return {
    get known() {
      return knownServer(state)
    },
    get fresh() {
      const known = knownServer(state)
      return (
        known !== undefined && known.discoveredAt > state.staleBefore && state.now() - known.discoveredAt < state.maxAge
      )
    },
    get dropped() {
      const known = knownServer(state)
      return known !== undefined && known.discoveredAt <= state.staleBefore
    },
    remember: (server) => void (state.server = server),
    expire: () => void (state.staleBefore = state.now()),
  }
}

/** The newer of what this process discovered and what is recorded, perhaps by another process. */
export function knownServer({ server, session }: LeaseState): DiscoveredServer | undefined {
  const recorded = session.grant?.server
  if (server === undefined || recorded === undefined) return server ?? recorded
  return recorded.discoveredAt > server.discoveredAt ? recorded : server
}

/** The tokens of the grant in use, unless a later discovery found another authorization server (MCP, AS Binding). */
export function tokensInForce({ server, session }: LeaseState): TokenSet | undefined {
  const { grant } = session
  if (grant === undefined || server === undefined || server.discoveredAt <= grant.server.discoveredAt)
    return grant?.tokens
  return sameIssuer(server.issuer, grant.server.issuer) ? grant.tokens : undefined
}

function clientLease({ session }: LeaseState): ClientLease {
  return {
    at: (issuer) => session.grantsAt(issuer),
    save: (server, client) => session.writeGrant({ server, client, use: false }, () => ({})),
    get several() {
      return (session.pointer?.grants.length ?? 0) > 1
    },
    forget: (server, clientId) => session.removeGrant(server, clientId),
    reject: async (issuer, clientId) => {
      for (const { server, client } of await session.grantsAt(issuer)) {
        if (client.source !== 'dynamic' || client.client_id !== clientId) continue
        await session.writeGrant({ server, client: { ...client, rejected: true }, use: false }, () => ({}))
      }
    },
    forgetRejected: async (issuer) => {
      for (const { server, client } of await session.grantsAt(issuer)) {
        if (client.rejected === true) await session.removeGrant(server, client.client_id)
      }
    },
    get pin() {
      return session.pointer?.pin
    },
    setPin: (pin) => session.writePointer(() => ({ pin })),
  }
}

function tokenLease(state: LeaseState): TokenLease {
  const { session, now } = state
  return {
    get grant() {
      return session.grant
    },
    get current() {
      return tokensInForce(state)
    },
    save: async ({ server, client, tokens, requestedScope }) => {
      try {
        await session.writeGrant({ server, client: { ...client, proven: true } }, (previous) => ({
          tokens,
          requestedScope: unionScope(previous?.requestedScope, requestedScope),
          endedAt: undefined,
        }))
        return tokens
      } catch (error) {
        if (!isConflict(error)) throw error
        await session.load()
        return session.grant?.tokens ?? tokens
      }
    },
    end: async (refreshToken, { keepAccessToken }) => {
      await session.load()
      const { grant } = session
      if (grant?.tokens?.refresh_token !== refreshToken) return false
      const hash = await sha256Base64url(refreshToken)
      const { refresh_token: _dead, ...rest } = grant.tokens
      await session.writeGrant(grant, () => ({
        tokens: keepAccessToken ? rest : undefined,
        deadRefreshTokens: [hash, ...(grant.deadRefreshTokens ?? [])].slice(0, rememberedDead),
        endedAt: now(),
      }))
      return true
    },
    clear: () => clearTokens(session),
  }
}

async function clearTokens(session: Session): Promise<void> {
  // Oldest first, so that the grant in use stays the one in use.
  for (const grant of [...(await session.grants())].reverse()) {
    await session.writeGrant(grant, () => ({ tokens: undefined, endedAt: undefined }))
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof OAuthFlowError && error.code === 'OAUTH_STORE_LOCK'
}

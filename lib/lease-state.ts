import { OAuthAuthorizationError, OAuthFlowError } from './errors'
import type { ClientLease, Lease, MetadataLease, TokenLease, TransactionLease } from './lease'
import { sha256Base64url } from './protocol/encoding'
import { sameIssuer } from './protocol/issuer'
import { unionScope } from './protocol/scope'
import { transactionKey, transactionKind } from './storage/record'
import type { DiscoveredServer, GrantRecord, TokenSet, TransactionReference } from './storage/record'
import type { Session } from './storage/session'
import type { Store } from './storage/store'

/** What a lease works on. */
export interface LeaseState {
  readonly session: Session
  readonly store: Store
  readonly now: () => number
  /** Milliseconds that discovery results are trusted. */
  readonly maxAge: number
  /** The server as last discovered by this process. */
  server: DiscoveredServer | undefined
  /** Discovery results from then or before are not used again. */
  staleBefore: number
}

const rememberedDead = 5
/** Sign-ins that may be under way at once; beyond them the oldest cannot be finished any more. */
const maxOpenTransactions = 100
/** Transactions that are over and still told apart from unknown ones. */
const rememberedTransactions = 20

/** Makes a lease; `end` kills it. */
export function openLease(state: LeaseState): { lease: Lease; end: () => void } {
  const slices: Lease = {
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
    reload: () => session.load(),
    clear: () => clearTokens(session),
  }
}

async function clearTokens(session: Session): Promise<void> {
  const grants: GrantRecord[] = []
  for (const ref of session.pointer?.grants ?? []) {
    const stored = await session.grantsAt(ref.issuer)
    grants.push(...stored.filter((grant) => grant.client.client_id === ref.clientId && grant.tokens !== undefined))
  }
  // Oldest first, so that the grant in use stays the one in use.
  for (const grant of grants.reverse()) {
    await session.writeGrant(grant, () => ({ tokens: undefined, endedAt: undefined }))
  }
}

function transactionLease({ session, store, now }: LeaseState): TransactionLease {
  const listed = (): readonly TransactionReference[] => session.pointer?.transactions ?? []
  const isOpen = ({ used, expiresAt }: TransactionReference): boolean => !used && now() < expiresAt
  const withoutSurplus = (entries: readonly TransactionReference[]): readonly TransactionReference[] => [
    ...entries.filter(isOpen).slice(0, maxOpenTransactions),
    ...entries.filter((entry) => !isOpen(entry)).slice(0, rememberedTransactions),
  ]
  return {
    open: async (state, transaction) => {
      const id = await transactionKey(state)
      const { expiresAt } = transaction
      const before = listed()
      await store.write(id, transaction, undefined, expiresAt - now())
      await session.writePointer((pointer) => ({
        transactions: withoutSurplus([
          { id, expiresAt, used: false, clientId: transaction.client.client_id },
          ...pointer.transactions,
        ]),
      }))
      const open = new Set(listed().flatMap((entry) => (isOpen(entry) ? [entry.id] : [])))
      for (const entry of before) if (!entry.used && !open.has(entry.id)) await store.remove(entry.id)
    },
    get abandoned() {
      return listed().flatMap((entry) => (entry.used || isOpen(entry) ? [] : (entry.clientId ?? [])))
    },
    isOpen: async (state) => {
      const id = await transactionKey(state)
      return listed().some((entry) => entry.id === id && isOpen(entry))
    },
    find: async (state) => {
      const id = await transactionKey(state)
      const entry = listed().find((transaction) => transaction.id === id)
      if (entry?.used === true) throw stateMismatch('used')
      if (entry !== undefined && now() >= entry.expiresAt) throw stateMismatch('expired')
      const stored = entry && (await store.read(id, transactionKind))
      if (stored === undefined) throw stateMismatch('unknown')
      return stored.record
    },
    use: async (state) => {
      const id = await transactionKey(state)
      await session.writePointer((pointer) => ({
        transactions: pointer.transactions.map((entry) =>
          entry.id === id ? { id, expiresAt: entry.expiresAt, used: true } : entry,
        ),
      }))
      await store.remove(id)
    },
    discard: async (state) => {
      const id = await transactionKey(state)
      await session.writePointer((pointer) => ({
        transactions: pointer.transactions.filter((entry) => entry.id !== id),
      }))
      await store.remove(id)
    },
    clear: async () => {
      const open = listed()
      await session.writePointer(() => ({ transactions: [] }))
      for (const { id } of open) await store.remove(id)
    },
  }
}

const stateMismatches = {
  used: 'This callback has already been used, perhaps before a reload of its page: what it led to stands.',
  expired: 'This callback came too late, after ten minutes: start the sign-in again.',
  unknown: 'The state of this callback is unknown here: start the sign-in again, and finish it over the same storage.',
} as const

function stateMismatch(reason: keyof typeof stateMismatches): OAuthAuthorizationError {
  return new OAuthAuthorizationError('The callback was refused: it belongs to no sign-in that is under way.', {
    code: 'OAUTH_STATE_MISMATCH',
    hint: stateMismatches[reason],
  })
}

function isConflict(error: unknown): boolean {
  return error instanceof OAuthFlowError && error.code === 'OAUTH_STORE_LOCK'
}

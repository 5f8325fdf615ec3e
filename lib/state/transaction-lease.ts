import { OAuthAuthorizationError } from '../errors'
import type { TransactionLease } from './lease'
import { transactionKey, transactionKind, type TransactionReference } from '../storage/record'
import type { Session } from '../storage/session'
import type { Store } from '../storage/store'

/** Sign-ins that may be under way at once; beyond them the oldest cannot be finished any more. */
const maxOpenTransactions = 100
/** Transactions that are over and still told apart from unknown ones. */
const rememberedTransactions = 20

/** What transactions are kept in. */
export interface TransactionState {
  readonly session: Session
  readonly store: Store
  readonly now: () => number
}

/** The transactions of a session, by the digests of their states. */
export function transactionLease({ session, store, now }: TransactionState): TransactionLease {
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

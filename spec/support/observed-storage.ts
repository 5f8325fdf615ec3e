import type { TokenStorage } from 'axios-oauth2'
import { Barrier, type Gate } from './world/script'

type Members = Readonly<Record<string, unknown>>

/** A storage without lock that a spec looks into and holds up; two providers over it are two processes. */
export class ObservedStorage implements TokenStorage {
  readonly entries: Map<string, string> = new Map()
  /** Calls of any method. */
  calls = 0
  readonly #holds: { readonly kind: string; readonly barrier: Barrier<Members> }[] = []

  get(key: string): Promise<string | undefined> {
    this.calls += 1
    return Promise.resolve(this.entries.get(key))
  }

  async set(key: string, value: string): Promise<void> {
    this.calls += 1
    const record = JSON.parse(value) as Members
    for (const { kind, barrier } of this.#holds) if (kind === kindOf(record)) await barrier.pass(record)
    this.entries.set(key, value)
  }

  delete(key: string): Promise<void> {
    this.calls += 1
    this.entries.delete(key)
    return Promise.resolve()
  }

  /** Writes of a kind of record wait: `grant`, `tokens` (a grant with tokens), `pointer` or `transaction`. */
  hold(kind: 'grant' | 'tokens' | 'pointer' | 'transaction'): Gate<Members> {
    const barrier = new Barrier<Members>()
    this.#holds.push({ kind, barrier })
    return barrier
  }

  /** The stored records of a kind. */
  records(kind: 'grant' | 'tokens' | 'pointer' | 'transaction'): Members[] {
    const all = [...this.entries.values()].map((value) => JSON.parse(value) as Members)
    return all.filter((record) => kindOf(record) === kind || record.kind === kind)
  }

  /** Whether a text is anywhere in what is stored. */
  holds(text: string): boolean {
    return [...this.entries].some((entry) => entry.join(' ').includes(text))
  }
}

function kindOf({ kind, tokens }: Members): unknown {
  return kind === 'grant' && tokens !== undefined ? 'tokens' : kind
}

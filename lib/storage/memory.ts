import { OAuthFlowError } from '../errors'
import { Mutex } from '../mutex'
import type { TokenStorage } from './token-storage'

interface Entry {
  readonly value: string
  readonly expiresAt: number
}

/** Keeps sessions in memory, for one process and until it ends. Several providers may share one. The default storage. */
export class MemoryTokenStorage implements TokenStorage {
  readonly #entries = new Map<string, Entry>()
  readonly #locks = new Map<string, { readonly mutex: Mutex; users: number }>()
  readonly #now: () => number

  /** `now`: the clock for times to live, in milliseconds since the epoch. Default `Date.now`. */
  constructor(options: { now?: () => number } = {}) {
    this.#now = options.now ?? Date.now
  }

  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#read(key))
  }

  set(key: string, value: string, options: { ttl?: number; expected?: string | null } = {}): Promise<void> {
    const { ttl, expected } = options
    if (expected !== undefined && (this.#read(key) ?? null) !== expected) return Promise.reject(conflict())
    if (ttl !== undefined) this.#sweep()
    this.#entries.set(key, { value, expiresAt: ttl === undefined ? Infinity : this.#now() + ttl })
    return Promise.resolve()
  }

  delete(key: string): Promise<void> {
    this.#entries.delete(key)
    return Promise.resolve()
  }

  async lock<T>(key: string, work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T> {
    const lock = this.#locks.get(key) ?? { mutex: new Mutex(), users: 0 }
    this.#locks.set(key, lock)
    lock.users += 1
    try {
      return await lock.mutex.run(work, options.signal)
    } finally {
      lock.users -= 1
      if (lock.users === 0) this.#locks.delete(key)
    }
  }

  /** Keys and values are secrets or lead to them: no rendering shows any. */
  toJSON(): { entries: number } {
    return { entries: this.#entries.size }
  }

  #read(key: string): string | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && this.#now() < entry.expiresAt ? entry.value : undefined
  }

  #sweep(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#now() >= entry.expiresAt) this.#entries.delete(key)
    }
  }
}

function conflict(): OAuthFlowError {
  return new OAuthFlowError('The stored record was changed by somebody else since it was read.', {
    code: 'OAUTH_STORE_LOCK',
    phase: 'storage',
    retryable: true,
  })
}

import { isOAuthFlowError, OAuthFlowError, type OAuthErrorCode } from '../errors'
import { codeOf, type Events } from '../events'
import { withDeadline } from '../deadline'
import { parseRecord, type RecordKind } from './record'
import type { TokenStorage } from './token-storage'

/** Milliseconds for one read or write, for having the lock, and for holding it: work under it ends before that. */
const operationDeadline = 10_000
const lockDeadline = 15_000
const heldDeadline = 60_000

/** A record together with the stored text it was read from, which the next write expects to find. */
export interface Stored<R> {
  readonly record: R
  readonly raw: string
}

interface Unsaved {
  readonly value: string
  readonly expected: string | null
  readonly ttl: number | undefined
}

/**
 * Typed access to a {@link TokenStorage}: deadlines, typed errors and compare-and-set. A value that could not be
 * written is kept here, is what the next read gives, and is tried again by {@link flush}: a full disk costs nobody a
 * rotated token while the process lives.
 */
export class Store {
  readonly #storage: TokenStorage
  readonly #events: Events
  readonly #origin: string
  readonly #unsaved = new Map<string, Unsaved>()

  constructor(o: { storage: TokenStorage; events: Events; origin: string }) {
    this.#storage = o.storage
    this.#events = o.events
    this.#origin = o.origin
  }

  /** Whether something could not be written yet. */
  get isBehind(): boolean {
    return this.#unsaved.size > 0
  }

  /** Whether several processes may share the storage. */
  get lockable(): boolean {
    return this.#storage.lock !== undefined
  }

  /** Rejects with `OAUTH_STORE_READ` (retryable) or `OAUTH_STORE_CORRUPT`; never takes a failure for "nothing there". */
  async read<R>(key: string, kind: RecordKind<R>): Promise<Stored<R> | undefined> {
    const raw = this.#unsaved.get(key)?.value ?? (await this.#get(key))
    return raw === undefined ? undefined : { record: parseRecord(raw, kind), raw }
  }

  /**
   * Writes a record over the one last read (`previous`; undefined: there was none). Rejects with `OAUTH_STORE_LOCK` when
   * somebody else wrote meanwhile; any other failure keeps the value here and is told by an event.
   */
  async write<R>(key: string, record: R, previous: Stored<R> | undefined, ttl?: number): Promise<Stored<R>> {
    const value = JSON.stringify(record)
    const unsaved = this.#unsaved.get(key)
    const expected = unsaved?.expected ?? previous?.raw ?? null
    try {
      await this.#set(key, { value, expected, ttl }).catch((error: unknown) => {
        // What is thought unsaved may have arrived, and only its acknowledgement was lost.
        if (unsaved === undefined || !isConflict(error)) throw error
        return this.#set(key, { value, expected: unsaved.value, ttl })
      })
      this.#unsaved.delete(key)
    } catch (error) {
      if (isConflict(error)) {
        this.#unsaved.delete(key)
        throw this.#failure('OAUTH_STORE_LOCK', 'The stored record was changed by another process.', error)
      }
      this.#unsaved.set(key, { value, expected, ttl })
      this.#report('write', error, 'OAUTH_STORE_WRITE')
    }
    return { record, raw: value }
  }

  /** Removes a record; a failure is told by an event. */
  async remove(key: string): Promise<void> {
    this.#unsaved.delete(key)
    try {
      await withDeadline(() => this.#storage.delete(key), operationDeadline, 'deleting from the storage')
    } catch (error) {
      this.#report('delete', error, 'OAUTH_STORE_WRITE')
    }
  }

  /** Tries again to write what could not be written. What somebody else has replaced since is let go. */
  async flush(): Promise<void> {
    for (const [key, unsaved] of this.#unsaved) {
      try {
        await this.#set(key, unsaved)
        this.#unsaved.delete(key)
      } catch (error) {
        if (isConflict(error)) this.#unsaved.delete(key)
      }
    }
  }

  /**
   * Runs work under the storage's own lock, if it has one. `OAUTH_STORE_LOCK` when it cannot be had in 15 s, or is not
   * given back: nothing that a storage does holds up this process for ever.
   */
  async exclusive<T>(key: string, work: () => Promise<T>): Promise<T> {
    const storage = this.#storage
    if (storage.lock === undefined) return work()
    let outcome: Promise<T> | undefined
    let begin = (): void => undefined
    const begun = new Promise<void>((resolve) => (begin = resolve))
    const wait = async (signal: AbortSignal): Promise<{ locked: Promise<T> | undefined }> => {
      const turn = (): Promise<T> => {
        signal.throwIfAborted()
        begin()
        return (outcome = work())
      }
      const locked = storage.lock?.(key, turn, { signal })
      await Promise.race([begun, locked])
      return { locked }
    }
    try {
      const { locked } = await withDeadline(wait, lockDeadline, 'waiting for the lock of the storage')
      return (await withDeadline(() => locked, heldDeadline, 'waiting for the storage to end its lock')) as T
    } catch (error) {
      // How the lock ended takes nothing from what was done under it.
      if (outcome !== undefined && !isOAuthFlowError(error)) return outcome
      if (outcome !== undefined) throw error
      throw this.#failure('OAUTH_STORE_LOCK', 'The lock of the token storage could not be had.', error)
    }
  }

  async #get(key: string): Promise<string | undefined> {
    try {
      const value: unknown = await withDeadline(() => this.#storage.get(key), operationDeadline, 'reading the storage')
      if (value === undefined || value === null) return undefined
      if (typeof value === 'string') return value
    } catch (error) {
      const code = isOAuthFlowError(error) && error.code.startsWith('OAUTH_STORE') ? error.code : 'OAUTH_STORE_READ'
      this.#report('read', error, code)
      throw this.#failure(code, 'The token storage could not be read.', error)
    }
    throw this.#failure('OAUTH_STORE_CORRUPT', 'The token storage returned something else than text.', undefined)
  }

  #set(key: string, { value, expected, ttl }: Unsaved): Promise<void> {
    const options = ttl === undefined ? { expected } : { expected, ttl }
    return withDeadline(() => this.#storage.set(key, value, options), operationDeadline, 'writing to the storage')
  }

  #report(operation: 'read' | 'write' | 'delete', error: unknown, fallback: OAuthErrorCode): void {
    const code = isOAuthFlowError(error) && error.phase === 'storage' ? codeOf(error) : fallback
    this.#events.emit('storageFailed', { origin: this.#origin, duration: 0, code, operation })
  }

  #failure(code: OAuthErrorCode, message: string, cause: unknown): OAuthFlowError {
    const retryable = code === 'OAUTH_STORE_READ' || code === 'OAUTH_STORE_LOCK'
    return new OAuthFlowError(message, { code, phase: 'storage', retryable, cause, hint: storageHints[code] })
  }
}

const storageHints: Partial<Record<OAuthErrorCode, string>> = {
  OAUTH_STORE_READ: 'Nothing was lost; check that the storage is reachable and try again.',
  OAUTH_STORE_LOCK: 'Another process is renewing the session; try again.',
}

function isConflict(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === 'OAUTH_STORE_LOCK'
}

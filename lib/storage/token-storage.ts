/**
 * Where sessions live. Values are opaque strings that hold secrets; keys are SHA-256 digests in base64url. Implement
 * `lock` when several processes share the storage: without it exactly one process may use a session.
 */
export interface TokenStorage {
  /** The stored value, or undefined when there is none or its time to live has passed. */
  get(key: string): Promise<string | undefined>
  /**
   * Stores a value durably before the promise resolves.
   *
   * `ttl`: milliseconds after which the value may vanish. `expected`: the value last read (null: absent); when the
   * stored value is another one, nothing is written and the promise rejects with an error whose `code` is
   * `OAUTH_STORE_LOCK`.
   */
  set(key: string, value: string, options?: { ttl?: number; expected?: string | null }): Promise<void>
  delete(key: string): Promise<void>
  /**
   * Runs `work` while no other user of the storage runs work under the same key. `signal` ends the wait for the lock,
   * not the work. Rejects with `OAUTH_STORE_LOCK` when the lock cannot be had.
   */
  lock?<T>(key: string, work: () => Promise<T>, options: { signal: AbortSignal }): Promise<T>
}

const methods = ['get', 'set', 'delete'] as const

/** What is wrong with a value given as storage, or undefined. */
export function storageDefect(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'an object with get, set and delete'
  const missing = methods.find((name) => typeof (value as Record<string, unknown>)[name] !== 'function')
  if (missing !== undefined) {
    return `an object with get, set and delete; ${missing} is missing (wrap the four methods of an MCP SDK storage in fromTokenStorage)`
  }
  return undefined
}

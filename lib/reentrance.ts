import { OAuthFlowError } from './errors'

/** What code of the user may hold up while this library waits for it: the lock, or the sign-in under way. */
export type HeldUp = 'lock' | 'sign-in'

/** Work that is waited for. Promises that outlive it keep their marker, which says nothing by then. */
interface Marker {
  readonly holding: HeldUp
  underWay: boolean
}

/** What is used of Node's class, which other runtimes have as well. */
interface AsyncLocalStorage {
  run<T>(store: Marker | undefined, work: () => T): T
  getStore(): Marker | undefined
  disable(): void
}

interface AsyncHooks {
  readonly AsyncLocalStorage: new () => AsyncLocalStorage
}

/**
 * Tells calls of code that we are waiting for (storage methods, callbacks) from everybody else's: such a call must not
 * wait for what its own caller holds up. Costs nothing while no such code runs. A runtime without `AsyncLocalStorage`
 * tells nothing apart; there the deadlines over that code end the wait.
 */
export class Reentrance {
  #contexts: AsyncLocalStorage | undefined
  #underWay = 0

  /** Runs work that holds something up for as long as it takes. */
  async run<T>(holding: HeldUp, work: () => Promise<T>): Promise<T> {
    this.#contexts ??= asyncLocalStorage()
    const contexts = this.#contexts
    if (contexts === undefined) return work()
    const marker: Marker = { holding, underWay: true }
    this.#underWay += 1
    try {
      return await contexts.run(marker, work)
    } finally {
      marker.underWay = false
      this.#underWay -= 1
      // An enabled one makes every promise of the process a little slower.
      if (this.#underWay === 0) contexts.disable()
    }
  }

  /** Calls what nobody waits for, such as listeners: what it asks for may wait. */
  apart<T>(call: () => T): T {
    return this.#underWay === 0 || this.#contexts === undefined ? call() : this.#contexts.run(undefined, call)
  }

  /** Whether the caller is code that holds this up. */
  isWithin(held: HeldUp): boolean {
    if (this.#underWay === 0) return false
    const marker = this.#contexts?.getStore()
    return marker?.underWay === true && marker.holding === held
  }

  /** Throws `OAUTH_CONFLICT` when the caller is code that holds this up: it would wait for itself. */
  refuse(held: HeldUp): void {
    if (!this.isWithin(held)) return
    const code = held === 'lock' ? 'A storage method or callback' : 'A handler of the sign-in'
    throw new OAuthFlowError(`${code} asked the provider that waits for it for a token, and none is at hand.`, {
      code: 'OAUTH_CONFLICT',
      hint: 'Give that code credentials or a provider of its own, or do not wait for the answer there.',
    })
  }
}

/** Looked up at run time, so that the core loads anywhere. */
function asyncLocalStorage(): AsyncLocalStorage | undefined {
  const host = (globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }).process
  const hooks = host?.getBuiltinModule?.('node:async_hooks') as AsyncHooks | undefined
  return hooks === undefined ? undefined : new hooks.AsyncLocalStorage()
}

/**
 * Exclusion between different needs: work runs one piece after the other, in the order in which it was asked for.
 * A caller whose signal aborts before its turn leaves the queue; work that has begun is never interrupted.
 */
export class Mutex {
  #tail: Promise<void> = Promise.resolve()

  /** Runs `work` when everything asked for before it has settled; rejects with the signal's reason if it aborts first. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.#tail
    let release = (): void => undefined
    this.#tail = new Promise((resolve) => (release = resolve))
    try {
      await unlessAborted(turn, signal)
    } catch (reason) {
      void turn.then(release)
      throw reason
    }
    try {
      return await work()
    } finally {
      release()
    }
  }
}

interface Flight<T> {
  readonly outcome: Promise<T>
  readonly abandon: AbortController
  waiting: number
}

/**
 * One outcome for the same need: callers of one key share one run of the work. A caller's signal ends that caller's
 * wait and nothing else. An outcome is not kept: the next caller starts anew.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()
  readonly #abandonable: boolean

  /** `abandonable`: when the last caller has gone, the signal given to the work aborts and the flight is forgotten. */
  constructor(options: { abandonable?: boolean } = {}) {
    this.#abandonable = options.abandonable ?? false
  }

  /** Joins the flight of `key`, or starts it with `work`. Rejects with the signal's reason when that aborts first. */
  async run(key: string, work: (abandoned: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    flight.waiting += 1
    try {
      return await unlessAborted(flight.outcome, signal)
    } finally {
      flight.waiting -= 1
      if (this.#abandonable && flight.waiting === 0 && signal?.aborted === true) {
        this.#forget(key, flight)
        flight.abandon.abort(signal.reason)
      }
    }
  }

  /** Whether a flight of `key` is under way. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  #start(key: string, work: (abandoned: AbortSignal) => Promise<T>): Flight<T> {
    const abandon = new AbortController()
    const outcome = (async () => work(abandon.signal))()
    const flight: Flight<T> = { outcome, abandon, waiting: 0 }
    this.#flights.set(key, flight)
    const forget = (): void => this.#forget(key, flight)
    outcome.then(forget, forget)
    return flight
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}

/** Settles like `promise`, or rejects at once with the reason of an aborting signal; leaves no listener behind. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) {
    promise.catch(() => undefined)
    throw signal.reason
  }
  let stop = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    stop = () => signal.removeEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    stop()
  }
}

/** Lets a controller abort with a signal, at once if that has aborted; the function returned ends it. */
export function follow(signal: AbortSignal, controller: AbortController): () => void {
  const onAbort = (): void => controller.abort(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

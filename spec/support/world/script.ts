import type { Answer, Answering, Endpoint, Entry, Outcome } from './entry'

export interface AnswerOptions {
  /** @default without end */
  readonly times?: number
  readonly when?: (request: Entry) => boolean
}

/** Requests wait at a gate: the server has them and does not answer. */
export interface Gate<T> {
  /** The first that came. */
  readonly arrived: Promise<T>
  /** The first `count` that came, all of them waiting. */
  arrivals(count: number): Promise<readonly T[]>
  /** Opens the gate for those who wait and all later ones. */
  release(): void
}

interface Planned {
  readonly endpoint: Endpoint
  readonly answering: Answering
  readonly when: (request: Entry) => boolean
  times: number
}

/** A gate and the way through it. */
export class Barrier<T> implements Gate<T> {
  readonly #arrived: T[] = []
  readonly #watchers: { readonly count: number; readonly resolve: (arrived: readonly T[]) => void }[] = []
  readonly #opened: Promise<void>
  #open: () => void = () => undefined
  isOpen = false

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  get arrived(): Promise<T> {
    return this.arrivals(1).then(([first]) => first as T)
  }

  arrivals(count: number): Promise<readonly T[]> {
    return new Promise((resolve) => {
      this.#watchers.push({ count, resolve })
      this.#announce()
    })
  }

  release(): void {
    this.isOpen = true
    this.#open()
  }

  async pass(visitor: T): Promise<void> {
    if (this.isOpen) return
    this.#arrived.push(visitor)
    this.#announce()
    await this.#opened
  }

  #announce(): void {
    for (const { count, resolve } of this.#watchers) {
      if (this.#arrived.length >= count) resolve(this.#arrived.slice(0, count))
    }
  }
}

/** What a spec has the servers do instead of the honest thing. */
export class Script {
  readonly #planned: Planned[] = []
  readonly #gates: { readonly endpoint: Endpoint; readonly barrier: Barrier<Entry> }[] = []

  /**
   * Answers with a limited number of `times` come first, in the order they were given; then the newest of the others.
   * The function returned takes the answer back.
   */
  answer(endpoint: Endpoint, answering: Answering, o: AnswerOptions = {}): () => void {
    const planned = { endpoint, answering, when: o.when ?? ((): boolean => true), times: o.times ?? Infinity }
    this.#planned.push(planned)
    return () => {
      planned.times = 0
    }
  }

  hold(endpoint: Endpoint): Gate<Entry> {
    const barrier = new Barrier<Entry>()
    this.#gates.push({ endpoint, barrier })
    return barrier
  }

  releaseAll(): void {
    for (const { barrier } of this.#gates) barrier.release()
  }

  /** Waits at the gates of the endpoint, then gives the planned answer, or the honest one. */
  async outcome(entry: Entry, honest: () => Promise<Answer>): Promise<Outcome> {
    for (const { endpoint, barrier } of this.#gates) if (endpoint === entry.endpoint) await barrier.pass(entry)
    const planned = this.#take(entry)
    if (planned === undefined) return honest()
    return typeof planned === 'function' ? planned(entry, honest) : planned
  }

  #take(entry: Entry): Answering | undefined {
    const open = this.#planned.filter((p) => p.endpoint === entry.endpoint && p.times > 0 && p.when(entry))
    const planned = open.find(({ times }) => times !== Infinity) ?? open.at(-1)
    if (planned !== undefined) planned.times -= 1
    return planned?.answering
  }
}

/** An answer that is the honest one with some members of its JSON body replaced; undefined removes one. */
export function withMembers(members: Readonly<Record<string, unknown>>): Answering {
  return async (_request, honest) => {
    const answer = await honest()
    return { ...answer, body: { ...(answer.body as object), ...members } }
  }
}

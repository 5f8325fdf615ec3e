import assert from 'node:assert/strict'

/**
 * What went over the wire, as the servers wrote it down, in one order. A step is verified by taking from it exactly the
 * requests the step should have caused; `assertEmpty` then shows that there were no others.
 */
export class Timeline {
  #servers
  #entries = []

  /** @param servers what to call each server in the story → its control */
  constructor(servers) {
    this.#servers = servers
  }

  /** Forgets what was so far. */
  async clear() {
    await Promise.all(Object.values(this.#servers).map((control) => control.reset()))
    this.#entries = []
  }

  async read() {
    const journals = await Promise.all(
      Object.entries(this.#servers).map(async ([server, control]) =>
        (await control.journal()).map((entry) => ({ server, ...entry })),
      ),
    )
    // Not the client's: the keys are for the API and the MCP server, the icon is a browser's own idea.
    const entries = journals.flat().filter(({ path }) => path !== '/jwks' && path !== '/favicon.ico')
    this.#entries = entries.sort((a, b) => a.at - b.at)
    return this
  }

  /**
   * Takes the next requests, each described by the members it must have (`path` may be a pattern).
   * Fails, naming what came instead, when they are not next.
   */
  take(...expected) {
    return expected.map((members) => {
      const entry = this.#entries.shift()
      const wrong = Object.entries(members).find(([name, value]) => !matches(entry?.[name], value))
      assert.ok(!wrong, `expected ${inspect(members)}, but saw ${entry ? describe(entry) : 'nothing'}`)
      return entry
    })
  }

  /** Takes all requests at the front that have these members. */
  takeWhile(members) {
    const taken = []
    while (this.#entries.length > 0 && has(this.#entries[0], members)) taken.push(this.#entries.shift())
    return taken
  }

  /** Takes all requests that have these members, wherever they are. */
  takeAll(members) {
    const taken = this.#entries.filter((entry) => has(entry, members))
    this.#entries = this.#entries.filter((entry) => !taken.includes(entry))
    return taken
  }

  assertEmpty() {
    assert.deepEqual(this.#entries.map(describe), [], 'requests that no step accounts for')
  }
}

/** From the arrival of the first request to the end of the last, in milliseconds. */
export function span(entries) {
  const ends = entries.map((entry) => entry.at + (entry.duration ?? 0))
  return Math.max(...ends) - Math.min(...entries.map((entry) => entry.at))
}

/** `AS POST /reg → 400 invalid_client_metadata`. */
export function describe({ server, method, path, status, error, tool, rpc }) {
  return [server, method, path, tool ?? rpc, '→', status ?? 'open', error].filter(Boolean).join(' ')
}

function has(entry, members) {
  return Object.entries(members).every(([name, value]) => matches(entry[name], value))
}

function matches(actual, expected) {
  if (expected instanceof RegExp) return typeof actual === 'string' && expected.test(actual)
  if (typeof expected === 'object' && expected !== null) return typeof actual === 'object' && has(actual, expected)
  return actual === expected
}

function inspect(members) {
  return Object.entries(members)
    .map(
      ([name, value]) =>
        `${name} ${typeof value === 'object' && !(value instanceof RegExp) ? `(${inspect(value)})` : value}`,
    )
    .join(', ')
}

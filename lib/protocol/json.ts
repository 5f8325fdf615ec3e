/** A JSON object that was read from outside: own members only, no prototype. */
export type JsonObject = Readonly<Record<string, unknown>>

/** U+FFFD, which a decoder puts where bytes were no UTF-8, and halves of surrogate pairs (RFC 8259 §8.2). */
const damagedText = /\ufffd|\p{Surrogate}/u

/**
 * Reads a JSON object out of a response body: text, or the object that an adapter has parsed already. Members named
 * `__proto__` and members without a value (`null`) are left out. Gives undefined for everything else, and for text that
 * was damaged on its way: two different strings must not become equal through replacement characters. Never throws.
 */
export function parseJsonObject(body: unknown): JsonObject | undefined {
  const object = readObject(body)
  return object?.damaged === false ? object.members : undefined
}

/** Whether a body is a JSON object that was damaged on its way: it must not be used, but it proves no absence either. */
export function isDamagedJsonObject(body: unknown): boolean {
  return readObject(body)?.damaged === true
}

function readObject(body: unknown): { readonly members: JsonObject; readonly damaged: boolean } | undefined {
  try {
    const value: unknown = typeof body === 'string' ? JSON.parse(body.replace(/^\ufeff/, '')) : body
    return isObject(value) ? { members: ownMembers(value), damaged: isDamaged(value) } : undefined
  } catch {
    // Text that is no JSON; of an adapter's object, a getter that throws.
    return undefined
  }
}

/** Whether a value is nested deeper than `levels`. Walks without recursion: nesting is what a hostile server chooses. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let layer: readonly unknown[] = [value]
  for (let level = 0; level <= levels; level++) {
    // As a set: objects that an adapter made may share members, which would double the layer at each level.
    layer = [...new Set(layer.flatMap(children))]
    if (layer.length === 0) return false
  }
  return true
}

/** Objects of every realm, but no array, Map, Date, Buffer or the like. */
function isObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === '[object Object]'
}

function ownMembers(value: object): JsonObject {
  const members = Object.entries(value).filter(([name, member]) => name !== '__proto__' && member != null)
  return Object.assign(Object.create(null) as object, Object.fromEntries(members))
}

function isDamaged(value: unknown): boolean {
  const seen = new Set<unknown>()
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next === 'string' && damagedText.test(next)) return true
    // An object that an adapter made may contain itself.
    if (seen.has(next)) continue
    if (typeof next === 'object') seen.add(next)
    for (const child of children(next)) pending.push(child)
  }
  return false
}

function children(value: unknown): readonly unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

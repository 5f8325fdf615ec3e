import { inspect } from 'node:util'

/** Everything that a log or a report may show of a value: no secret may be in it. */
export function rendered(value: unknown): string {
  const { message = '', stack = '', cause, hint = '' } = (value ?? {}) as Record<string, unknown>
  const own = [String(value), inspect(value, { depth: Infinity, showHidden: true }), JSON.stringify(value)]
  const texts = [...own, message, stack, hint].map(String)
  return cause === undefined ? texts.join('\n') : [...texts, rendered(cause)].join('\n')
}

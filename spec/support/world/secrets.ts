import { inspect } from 'node:util'
import { queryOf, type Entry } from './entry'

const secretMembers = ['code', 'code_verifier', 'refresh_token', 'access_token', 'client_secret', 'state', 'token']

/** Every secret that was issued by a server or seen on the way to one. */
export class Secrets {
  readonly #values = new Set<string>()

  /** Notes a secret and gives it back; short texts are no secrets, since they are everywhere. */
  add(value: string): string {
    if (value.length >= 8) this.#values.add(value)
    return value
  }

  harvest({ headers, form, ...entry }: Entry): void {
    for (const parameters of [queryOf(entry), form]) {
      for (const name of secretMembers) for (const value of parameters?.getAll(name) ?? []) this.add(value)
    }
    const [scheme = '', credentials = ''] = (headers.authorization ?? '').split(' ')
    this.add(credentials)
    if (scheme.toLowerCase() !== 'basic') return
    const password = Buffer.from(credentials, 'base64')
      .toString()
      .replace(/^[^:]*:/, '')
    this.add(password)
    this.add(new URLSearchParams(`p=${password}`).get('p') ?? '')
  }

  all(): string[] {
    return [...this.#values]
  }

  /** The secrets that some rendering of a value shows: raw, percent-encoded or within base64. */
  leaksIn(value: unknown): string[] {
    const text = renderings(value).join('\n')
    return this.all().filter((secret) => disguises(secret).some((disguise) => text.includes(disguise)))
  }
}

function renderings(value: unknown, depth = 0): string[] {
  const own = [
    attempt(() => String(value)),
    inspect(value, { depth: Infinity, showHidden: true, maxArrayLength: Infinity, maxStringLength: Infinity }),
    inspect(value),
    attempt(() => JSON.stringify(value, readable)),
  ]
  // Errors of Node itself are no instances of the Error that a spec sees.
  if (typeof value !== 'object' || value === null || !('stack' in value) || depth > 8) return own
  const { message = '', stack = '', cause, errors } = value as Record<string, unknown>
  const inner = [cause, ...(Array.isArray(errors) ? (errors as unknown[]) : [])].filter((one) => one !== undefined)
  return [...own, String(message), String(stack), ...inner.flatMap((one) => renderings(one, depth + 1))]
}

/** What cannot be rendered this way shows nothing. */
function attempt(render: () => string | undefined): string {
  try {
    return render() ?? ''
  } catch {
    return ''
  }
}

/** Bytes and parameters as text. */
function readable(_key: string, value: unknown): unknown {
  if (value instanceof URLSearchParams) return value.toString()
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown }
  return type === 'Buffer' && Array.isArray(data) ? Buffer.from(data as number[]).toString('latin1') : value
}

function disguises(secret: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)])
    // The first and last characters depend on what stands beside the secret.
    return bytes.toString('base64url').slice(before === 0 ? 0 : before + 1, -2)
  })
  const standard = encoded.map((text) => text.replaceAll('-', '+').replaceAll('_', '/'))
  return [secret, encodeURIComponent(secret), ...encoded, ...standard]
}

import { Mutex } from '../mutex'
import type { TokenStorage } from './token-storage'

type Maybe<T> = T | null | undefined
type Members = Record<string, unknown>
type Records = Record<string, string | undefined>

/** The four methods of the MCP Python SDK's `TokenStorage`, in camelCase. */
export interface FourMethodStorage {
  getTokens(): Promise<Maybe<object>> | Maybe<object>
  setTokens(tokens: Members): Promise<void> | void
  getClientInfo(): Promise<Maybe<object>> | Maybe<object>
  setClientInfo(client: Members): Promise<void> | void
}

/** The same four under the names of the MCP TypeScript SDK's provider. */
export interface SdkStorage {
  tokens(): Promise<Maybe<object>> | Maybe<object>
  saveTokens(tokens: Members): Promise<void> | void
  clientInformation(): Promise<Maybe<object>> | Maybe<object>
  saveClientInformation(client: Members): Promise<void> | void
}

/** The member under which our records ride along; what another SDK wrote has none and is not used. */
const member = 'axios_oauth2'

/**
 * Wraps a storage written for an MCP SDK. It sees tokens and client information in the wire's shape, with one member
 * `axios_oauth2` that binds them to their issuer; objects without it are left alone and never sent anywhere. For one
 * process and one session; a started sign-in does not survive a restart. Throws a TypeError for anything else.
 */
export function fromTokenStorage(storage: FourMethodStorage | SdkStorage): TokenStorage {
  if (hasMethods<FourMethodStorage>(storage, pythonMethods)) return new FourMethodAdapter(storage)
  if (hasMethods<SdkStorage>(storage, typescriptMethods)) return new FourMethodAdapter(renamed(storage))
  throw new TypeError(
    `axios-oauth2: fromTokenStorage() needs an object with ${pythonMethods.join(', ')}, or with ${typescriptMethods.join(', ')}.`,
  )
}

const pythonMethods = ['getTokens', 'setTokens', 'getClientInfo', 'setClientInfo'] as const
const typescriptMethods = ['tokens', 'saveTokens', 'clientInformation', 'saveClientInformation'] as const

function hasMethods<S>(storage: unknown, names: readonly (keyof S)[]): storage is S {
  return (
    typeof storage === 'object' && storage !== null && names.every((name) => typeof (storage as S)[name] === 'function')
  )
}

function renamed(storage: SdkStorage): FourMethodStorage {
  return {
    getTokens: () => storage.tokens(),
    setTokens: (tokens) => storage.saveTokens(tokens),
    getClientInfo: () => storage.clientInformation(),
    setClientInfo: (client) => storage.saveClientInformation(client),
  }
}

class FourMethodAdapter implements TokenStorage {
  readonly #storage: FourMethodStorage
  readonly #transactions = new Map<string, string>()
  /** The two objects are read and rewritten as a whole. */
  readonly #turn = new Mutex()

  constructor(storage: FourMethodStorage) {
    this.#storage = storage
  }

  async get(key: string): Promise<string | undefined> {
    const transaction = this.#transactions.get(key)
    if (transaction !== undefined) return transaction
    const grant = recordsOf(await this.#storage.getTokens())[key]
    return grant ?? recordsOf(await this.#storage.getClientInfo())[key]
  }

  set(key: string, value: string): Promise<void> {
    return this.#turn.run(async () => {
      const record = JSON.parse(value) as Members
      if (record.kind === 'transaction') this.#transactions.set(key, value)
      else if (record.kind === 'grant') await this.#setGrant(key, value)
      else await this.#setClient({ [key]: value }, {})
    })
  }

  delete(key: string): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#transactions.delete(key)) return
      const { [key]: removed, ...grants } = recordsOf(await this.#storage.getTokens())
      if (removed !== undefined) await this.#showTokens(grants)
    })
  }

  async #setGrant(key: string, value: string): Promise<void> {
    const grants = { ...recordsOf(await this.#storage.getTokens()), [key]: value }
    const { source: _source, proven: _proven, rejected: _rejected, ...wire } = shown(grants, key)?.client ?? {}
    await this.#setClient({}, wire)
    await this.#showTokens(grants, key)
  }

  /** Other readers of the storage see the tokens of one grant. */
  #showTokens(grants: Records, key?: string): Promise<void> | void {
    return this.#storage.setTokens({ ...wireTokens(shown(grants, key)?.tokens), [member]: grants })
  }

  async #setClient(records: Record<string, string>, wire: Members): Promise<void> {
    const present = (await this.#storage.getClientInfo()) ?? {}
    const kept = recordsOf(present)
    const { [member]: _records, ...members } = Object.keys(kept).length > 0 ? (present as Members) : { [member]: {} }
    await this.#storage.setClientInfo({ ...members, ...wire, [member]: { ...kept, ...records } })
  }
}

/** What other readers take for "no token"; the four methods have no way to remove one. */
const noTokens: Members = Object.freeze({ access_token: '', token_type: 'Bearer' })

function wireTokens(tokens: Members | undefined): Members {
  if (tokens === undefined) return noTokens
  const { issuedAt, expiresAt, refreshAt: _refreshAt, mandatoryAt: _mandatoryAt, extra, ...known } = tokens
  const wire = { ...(extra as Members | undefined), ...known }
  if (typeof expiresAt !== 'number' || typeof issuedAt !== 'number') return wire
  return { ...wire, expires_in: Math.round((expiresAt - issuedAt) / 1000) }
}

/** Of several grants the one written last if it has tokens, else one that has. */
function shown(grants: Records, key: string | undefined): { client?: Members; tokens?: Members } | undefined {
  const { [key ?? '']: last, ...others } = grants
  const records = [last, ...Object.values(others)].flatMap((value) =>
    value === undefined ? [] : [JSON.parse(value) as { client?: Members; tokens?: Members }],
  )
  return records.find(({ tokens }) => tokens !== undefined) ?? records[0]
}

function recordsOf(stored: Maybe<object>): Records {
  const records = (stored as Members | null | undefined)?.[member]
  return typeof records === 'object' && records !== null ? (records as Records) : {}
}

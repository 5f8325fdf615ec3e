import { OAuthFlowError } from '../errors'
import { sameIssuer } from '../protocol/issuer'
import { grantKey, grantKind, pointerKey, pointerKind, recordVersion } from './record'
import type { DiscoveredServer, GrantRecord, GrantReference, KnownClient, PointerRecord } from './record'
import type { Store, Stored } from './store'

/** What names a session: the parts of the pointer's key. */
export interface SessionName {
  readonly serverUrl: string
  readonly partition: string | null
  readonly issuer: string | null
  readonly client: string | null
}

/** Grants remembered per session: returning to a former authorization server finds its registration again. */
const maxGrants = 8

/**
 * The records of one session as last read or written. Reading and writing go through here; who may do so is decided by
 * the context.
 */
export class Session {
  readonly #store: Store
  readonly #name: SessionName
  #pointer: Stored<PointerRecord> | undefined
  #grant: Stored<GrantRecord> | undefined
  #grantKey: string | undefined

  constructor(store: Store, name: SessionName) {
    this.#store = store
    this.#name = name
  }

  get pointer(): PointerRecord | undefined {
    return this.#pointer?.record
  }

  /** The grant in use. */
  get grant(): GrantRecord | undefined {
    return this.#grant?.record
  }

  /** The key under which work on this session excludes other work: the grant's, before there is one the pointer's. */
  lockKey(): Promise<string> {
    return this.#grantKey === undefined ? pointerKey(this.#name) : Promise.resolve(this.#grantKey)
  }

  /** Reads the pointer and the grant it names. */
  async load(): Promise<void> {
    const pointer = await this.#store.read(await pointerKey(this.#name), pointerKind)
    if (pointer !== undefined && !this.#owns(pointer.record)) throw foreign('pointer')
    const current = pointer?.record.grants[0]
    const key = current && (await this.#keyOf(current))
    const grant = key === undefined ? undefined : await this.#readGrant(key)
    this.#pointer = pointer
    this.#grant = grant
    this.#grantKey = grant === undefined ? undefined : key
  }

  /** The stored grant records at an issuer, newest first. */
  grantsAt(issuer: string): Promise<readonly GrantRecord[]> {
    return this.#grantsOf((this.pointer?.grants ?? []).filter((ref) => sameIssuer(ref.issuer, issuer)))
  }

  /** All stored grant records, newest first. */
  grants(): Promise<readonly GrantRecord[]> {
    return this.#grantsOf(this.pointer?.grants ?? [])
  }

  async #grantsOf(refs: readonly GrantReference[]): Promise<readonly GrantRecord[]> {
    const stored = await Promise.all(refs.map(async (ref) => this.#readGrant(await this.#keyOf(ref))))
    return stored.flatMap((grant) => (grant === undefined ? [] : [grant.record]))
  }

  /**
   * Writes the grant of a server and client, from what is stored under its key now. It becomes the one in use, unless
   * `use` is false and the one in use has tokens: a registration alone takes nobody's session away. Rejects with
   * `OAUTH_STORE_LOCK` when somebody else writes it at the same time.
   */
  async writeGrant(
    { server, client, use = true }: { server: DiscoveredServer; client: KnownClient; use?: boolean },
    change: (previous: GrantRecord | undefined) => Partial<GrantRecord>,
  ): Promise<void> {
    const ref = { issuer: server.issuer, resource: server.resource, clientId: client.client_id }
    const key = await this.#keyOf(ref)
    const previous = key === this.#grantKey ? this.#grant : await this.#readGrant(key)
    const record: GrantRecord = {
      ...previous?.record,
      kind: 'grant',
      version: recordVersion,
      revision: (previous?.record.revision ?? 0) + 1,
      partition: this.#name.partition,
      server,
      client,
      ...change(previous?.record),
    }
    const written = await this.#store.write(key, record, previous)
    const stays = !use && this.grant?.tokens !== undefined && key !== this.#grantKey
    await this.#list(ref, stays ? this.pointer?.grants[0] : undefined)
    if (stays) return
    this.#grant = written
    this.#grantKey = key
  }

  /** Removes a grant record and its place in the pointer. */
  async removeGrant(server: DiscoveredServer, clientId: string): Promise<void> {
    const ref = { issuer: server.issuer, resource: server.resource, clientId }
    const key = await this.#keyOf(ref)
    await this.writePointer((pointer) => ({ grants: pointer.grants.filter((other) => !sameRef(other, ref)) }))
    await this.#store.remove(key)
    if (key === this.#grantKey) {
      this.#grant = undefined
      this.#grantKey = undefined
    }
  }

  /** Changes the pointer; a concurrent change is read and built upon. */
  async writePointer(change: (pointer: PointerRecord) => Partial<PointerRecord>, tries = 3): Promise<void> {
    const current = this.#pointer?.record ?? this.#emptyPointer()
    const record = { ...current, ...change(current), revision: current.revision + 1 }
    const key = await pointerKey(this.#name)
    try {
      this.#pointer = await this.#store.write(key, record, this.#pointer)
    } catch (error) {
      if (tries <= 1) throw error
      this.#pointer = await this.#store.read(key, pointerKind)
      await this.writePointer(change, tries - 1)
    }
  }

  /** Puts a grant first in the pointer, or behind the one that stays in use. */
  async #list(ref: GrantReference, inUse: GrantReference | undefined): Promise<void> {
    const listed = this.pointer?.grants[inUse === undefined ? 0 : 1]
    if (listed !== undefined && sameRef(listed, ref)) return
    const before = this.pointer?.grants ?? []
    await this.writePointer((pointer) => {
      const others = pointer.grants.filter((other) => !sameRef(other, ref))
      const grants = inUse === undefined ? [ref, ...others] : [inUse, ref, ...others.slice(1)]
      return { grants: grants.slice(0, maxGrants) }
    })
    const listedNow = this.pointer?.grants ?? []
    const surplus = before.filter((other) => !listedNow.some((one) => sameRef(one, other)))
    for (const other of surplus) await this.#store.remove(await this.#keyOf(other))
  }

  async #readGrant(key: string): Promise<Stored<GrantRecord> | undefined> {
    const grant = await this.#store.read(key, grantKind)
    if (grant === undefined) return undefined
    const { server, client, partition } = grant.record
    const { issuer, resource } = server
    const own = await grantKey({ issuer, resource, clientId: client.client_id, partition })
    if (own !== key) throw foreign('grant')
    return grant
  }

  #keyOf(ref: GrantReference): Promise<string> {
    return grantKey({ ...ref, partition: this.#name.partition })
  }

  #owns(pointer: PointerRecord): boolean {
    return pointer.serverUrl === this.#name.serverUrl && pointer.partition === this.#name.partition
  }

  #emptyPointer(): PointerRecord {
    const { serverUrl, partition } = this.#name
    return { kind: 'pointer', version: recordVersion, revision: 0, serverUrl, partition, grants: [], transactions: [] }
  }
}

function sameRef(a: GrantReference, b: GrantReference): boolean {
  return sameIssuer(a.issuer, b.issuer) && a.resource === b.resource && a.clientId === b.clientId
}

function foreign(what: string): OAuthFlowError {
  return new OAuthFlowError(`The stored ${what} record belongs to another session than its key says.`, {
    code: 'OAUTH_STORE_CORRUPT',
    phase: 'storage',
    hint: 'Records must not be copied between keys; remove it to sign in anew.',
  })
}

import { fromTokenStorage, type FourMethodStorage, type SdkStorage, type TokenStorage } from 'axios-oauth2'
import { failureOf } from '../support/failure-of'
import { startWorld, type World } from '../support/world'

type Members = Record<string, unknown>

/** The storage of an application that was written for another SDK. */
class Cabinet {
  tokens: Members | null | undefined
  client: Members | null | undefined
  calls = 0
  readonly #absent: null | undefined

  constructor(absent: null | undefined) {
    this.#absent = absent
  }

  /** As the Python SDK names the methods, asynchronous. */
  python(): FourMethodStorage {
    return {
      getTokens: () => Promise.resolve(this.#read('tokens')),
      setTokens: (tokens) => Promise.resolve(this.#write('tokens', tokens)),
      getClientInfo: () => Promise.resolve(this.#read('client')),
      setClientInfo: (client) => Promise.resolve(this.#write('client', client)),
    }
  }

  /** As the TypeScript SDK names them, synchronous. */
  typescript(): SdkStorage {
    return {
      tokens: () => this.#read('tokens'),
      saveTokens: (tokens) => this.#write('tokens', tokens),
      clientInformation: () => this.#read('client'),
      saveClientInformation: (client) => this.#write('client', client),
    }
  }

  /** Like a file: what is written is a copy. */
  #write(name: 'tokens' | 'client', value: Members): void {
    this.calls += 1
    this[name] = JSON.parse(JSON.stringify(value)) as Members
  }

  #read(name: 'tokens' | 'client'): Members | null | undefined {
    this.calls += 1
    return this[name] === undefined ? this.#absent : structuredClone(this[name])
  }
}

let world: World

beforeEach(async () => void (world = await startWorld()))
afterEach(() => world.stop())

describe('fromTokenStorage(storage)', () => {
  const shapes: readonly (readonly [string, null | undefined, (cabinet: Cabinet) => TokenStorage])[] = [
    ['the Python SDK, absent being null', null, (cabinet) => fromTokenStorage(cabinet.python())],
    ['the Python SDK, absent being undefined', undefined, (cabinet) => fromTokenStorage(cabinet.python())],
    ['the TypeScript SDK, absent being null', null, (cabinet) => fromTokenStorage(cabinet.typescript())],
    ['the TypeScript SDK, absent being undefined', undefined, (cabinet) => fromTokenStorage(cabinet.typescript())],
  ]

  it.each(shapes)(
    'keeps a session over a restart in the four methods of %s [storage.four-methods]',
    async (_name, absent, wrap) => {
      const cabinet = new Cabinet(absent)
      await world.connect({ storage: wrap(cabinet) }).api.get('')
      world.forget()
      await world.connect({ storage: wrap(cabinet), interactive: false }).api.get('')
      world.expireTokens()
      await world.connect({ storage: wrap(cabinet), interactive: false }).api.get('')
      await world.connect({ storage: wrap(cabinet), interactive: false }).api.get('')
      expect(world.steps()).toEqual(['api 200', 'token 200', 'api 200', 'api 200'])
    },
  )

  it('is not read before the first request [storage.four-methods]', async () => {
    const cabinet = new Cabinet(null)
    const { api } = world.connect({ storage: fromTokenStorage(cabinet.python()) })
    expect(cabinet.calls).toBe(0)
    await api.get('')
    expect(cabinet.calls).toBeGreaterThan(0)
  })

  it('shows other readers tokens and client as the wire has them [storage.four-methods]', async () => {
    const cabinet = new Cabinet(undefined)
    const { api, provider } = world.connect({ storage: fromTokenStorage(cabinet.python()) })
    await api.get('')
    expect(cabinet.tokens).toMatchObject({
      access_token: world.liveAccessToken(),
      token_type: 'Bearer',
      refresh_token: expect.stringMatching(/^refresh-/) as string,
      expires_in: 3600,
    })
    const { clientId } = await provider.describe()
    expect(cabinet.client).toMatchObject({ client_id: clientId, redirect_uris: [world.redirectUri] })
    for (const own of ['source', 'proven', 'rejected']) expect(cabinet.client).not.toHaveProperty(own)
  })

  it('keeps the client and no token after signOut() [storage.four-methods] [storage.sign-out]', async () => {
    const cabinet = new Cabinet(null)
    const { api, provider } = world.connect({ storage: fromTokenStorage(cabinet.python()) })
    await api.get('')
    const { clientId } = await provider.describe()
    const token = world.liveAccessToken()
    await provider.signOut()
    expect(JSON.stringify(cabinet.tokens)).not.toMatch(new RegExp(`${token}|refresh-`))
    world.forget()
    await world.connect({ storage: fromTokenStorage(cabinet.python()) }).api.get('')
    expect([world.count('register'), cabinet.client?.['client_id']]).toEqual([0, clientId])
  })

  it('keeps the session of one registration while another is made and not used [storage.four-methods] [dcr.redirect-drift]', async () => {
    const cabinet = new Cabinet(null)
    await world.connect({ storage: fromTokenStorage(cabinet.python()) }).api.get('')
    const clientMetadata = { redirect_uris: ['http://127.0.0.1:8765/moved'] }
    world.user.deny()
    const moved = { storage: fromTokenStorage(cabinet.python()), clientMetadata }
    await failureOf(world.connect(moved).provider.authorize())
    expect(cabinet.tokens).toMatchObject({ access_token: world.liveAccessToken() })
    world.expireTokens()
    world.forget()
    await world.connect({ storage: fromTokenStorage(cabinet.python()), clientMetadata }).api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('says that only one process is safe [storage.four-methods]', async () => {
    const { provider } = world.connect({ storage: fromTokenStorage(new Cabinet(null).python()) })
    expect(await provider.describe()).toMatchObject({ sharedBetweenProcesses: false, inMemoryOnly: false })
  })

  it('takes a failure for a failure, and not for "no tokens" [storage.four-methods]', async () => {
    const broken = { ...new Cabinet(null).python(), getTokens: () => Promise.reject(new Error('locked keychain')) }
    const { api } = world.connect({ storage: fromTokenStorage(broken) })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_STORE_READ', retryable: true })
    expect(world.journal).toEqual([])
  })

  it.each([{}, { getTokens: () => null }, { tokens: () => null, saveTokens: () => undefined }, null, 'file'])(
    'refuses %j at once, which lacks methods [storage.four-methods]',
    (value) => {
      expect(() => fromTokenStorage(value as never)).toThrow(TypeError)
    },
  )
})

import { inspect } from 'node:util'
import { MemoryTokenStorage, type TokenStorage } from 'axios-oauth2'
import { startWorld, type World } from './support/world'

// What the end of a session, of a wait or of a lock may not take along.

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

async function refusalOf(work: Promise<unknown>): Promise<{ code?: string; message: string }> {
  try {
    await work
  } catch (error) {
    return error as { code?: string; message: string }
  }
  throw new Error('It was not refused.')
}

describe('signOut()', () => {
  it('during a renewal that is refused asks nobody and leaves no session [RF-07] [storage.sign-out]', async () => {
    const { api, provider } = world.connect()
    await api.get('')
    world.expireTokens()
    world.endSession()
    const token = world.hold('token')
    const waiting = refusalOf(api.get(''))
    await token.arrived
    const out = provider.signOut()
    token.release()
    expect(await waiting).toMatchObject({ code: 'OAUTH_ABORTED' })
    await out
    expect(world.user.visits).toHaveLength(1)
    expect(await provider.describe()).toMatchObject({ session: 'none' })
  })

  it('while a sign-in begins opens no page [RF-07] [flow.abort]', async () => {
    const { api, provider } = world.connect()
    const prm = world.hold('prm')
    const waiting = refusalOf(api.get(''))
    await prm.arrived
    const out = provider.signOut()
    prm.release()
    expect(await waiting).toMatchObject({ code: 'OAUTH_ABORTED' })
    await out
    expect(world.user.visits).toEqual([])
  })

  it('rejects when the tokens are still in a storage that cannot be written [storage.sign-out]', async () => {
    const memory = new MemoryTokenStorage()
    let isFull = false
    const storage: TokenStorage = {
      get: (key) => memory.get(key),
      set: (key, value, o) => (isFull ? Promise.reject(new Error('ENOSPC')) : memory.set(key, value, o)),
      delete: (key) => memory.delete(key),
    }
    const { api, provider } = world.connect({ storage })
    await api.get('')
    isFull = true
    expect(await refusalOf(provider.signOut())).toMatchObject({ code: 'OAUTH_STORE_WRITE', retryable: true })
    expect(provider.context.currentTokens).toBeUndefined()
    isFull = false
    await provider.signOut()
    const { provider: next } = world.connect({ storage })
    expect(await next.describe()).toMatchObject({ session: 'none' })
  })
})

describe('a request that waits for a sign-in', () => {
  it('rejects when the callback that finishAuthorization() brings says no [receiver.paste-back]', async () => {
    const shown = new Promise<string>((resolve) => {
      const { api, provider } = world.connect({
        redirectHandler: resolve,
        callbackHandler: () => new Promise(() => undefined),
      })
      connection = { waiting: refusalOf(api.get('')), provider }
    })
    const url = await shown
    world.user.deny()
    const callback = await world.user.visit(url)
    const { provider, waiting } = connection
    expect(await refusalOf(provider.finishAuthorization(callback))).toMatchObject({
      code: 'OAUTH_AUTHORIZATION_DENIED',
    })
    expect(await waiting).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
  })

  it('closes a receiver that ignores its signal when the person stays away [receiver.closes]', async () => {
    let closed = 0
    const receiver = {
      redirectUris: [world.redirectUri],
      open: () =>
        Promise.resolve({
          redirectUri: world.redirectUri,
          redirectHandler: () => undefined,
          callbackHandler: () => new Promise<string>(() => undefined),
          close: () => {
            closed += 1
            return Promise.resolve()
          },
        }),
    }
    const { api } = world.connect({ receiver, timeout: 30 })
    expect(await refusalOf(api.get(''))).toMatchObject({ code: 'OAUTH_CALLBACK_TIMEOUT' })
    expect(closed).toBe(1)
  })
})

describe('a rejection because nobody can be asked', () => {
  it('offers one started sign-in for each scope, however requests alternate [flow.non-interactive]', async () => {
    const { api } = world.connect({ interactive: false })
    const states = new Set<unknown>()
    for (const scope of ['a', 'b', 'a', 'b', 'a', 'b']) {
      states.add(((await refusalOf(api.get('', { oauth: { scope } }))) as { state?: string }).state)
    }
    expect(states.size).toBe(2)
  })
})

describe('a storage', () => {
  it('is left alone by requests in the advisory window while renewal is paused [refresh.pause]', async () => {
    const memory = new MemoryTokenStorage()
    let reads = 0
    const storage: TokenStorage = {
      get: (key) => {
        reads += 1
        return memory.get(key)
      },
      set: (key, value, o) => memory.set(key, value, o),
      delete: (key) => memory.delete(key),
    }
    const { api, provider } = world.connect({ storage })
    await api.get('')
    world.answer('token', { status: 503, headers: { 'Retry-After': '60' } })
    world.clock.advance(3600_000 - 60_000)
    const failed = new Promise((resolve) => provider.on('refreshFailed', resolve))
    await api.get('')
    await failed
    await new Promise((resolve) => setImmediate(resolve))
    const before = reads
    for (let n = 0; n < 10; n += 1) await api.get('')
    expect(reads).toBe(before)
    expect(world.count('token')).toBe(2)
  })

  it('whose lock fails to end takes nothing from the renewal, and its words reach nobody [RD-07]', async () => {
    const memory = new MemoryTokenStorage()
    let fails = false
    const storage: TokenStorage = {
      get: (key) => memory.get(key),
      set: (key, value, o) => memory.set(key, value, o),
      delete: (key) => memory.delete(key),
      lock: async (key, work, o) => {
        const done = await memory.lock(key, work, o)
        if (fails) throw new Error('redis://user:password@host unlock failed')
        return done
      },
    }
    const { api } = world.connect({ storage })
    await api.get('')
    world.expireTokens()
    fails = true
    expect((await api.get('')).status).toBe(200)
    expect(world.reuseDetections).toBe(0)
  })
})

describe('a response', () => {
  it('that an earlier interceptor replaced by its data is left alone [axios.config-untouched]', async () => {
    const { api } = world.connect()
    api.interceptors.response.clear()
    const { provider } = world.connect()
    const bare = world.connect().api
    bare.interceptors.response.clear()
    bare.interceptors.response.use(
      (response) => ({ request: { url: 'x', headers: {} }, mine: response.status }) as never,
    )
    provider.attach(bare)
    expect(await bare.get('')).toEqual({ request: { url: 'x', headers: {} }, mine: 200 })
  })

  it('whose stream fails later shows no token in that failure [SC-04]', async () => {
    const { api } = world.connect()
    await api.get('')
    const controller = new AbortController()
    const { data } = await api.get<NodeJS.ReadableStream>('/stream', {
      responseType: 'stream',
      signal: controller.signal,
    })
    const failed = new Promise<unknown>((resolve) => data.once('error', resolve))
    data.resume()
    controller.abort()
    const error = await failed
    expect(inspect(error)).not.toContain(world.liveAccessToken())
    expect(world.leaksIn(error)).toEqual([])
  })
})

let connection: {
  readonly waiting: Promise<{ code?: string }>
  readonly provider: ReturnType<World['connect']>['provider']
}

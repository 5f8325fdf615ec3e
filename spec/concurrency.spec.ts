import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import axios, { type AxiosError } from 'axios'
import { clientCredentials, MemoryTokenStorage, type OAuthFlowError, type TokenStorage } from 'axios-oauth2'
import { ObservedStorage } from './support/observed-storage'
import { mainSteps, rejectionOf, signedIn, steadyRandom } from './support/session'
import { startWorld, withMembers, type Connection, type ConnectOptions, type Echo, type World } from './support/world'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

const hour = 3_600_000

function many<T>(count: number, call: (n: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => call(n)))
}

function openable(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { passed, open: () => open() }
}

/** Timers that only go off when a spec lets time pass; the servers go on. */
function pausedTime(): { pass(ms: number): Promise<void> } {
  const real = [
    'Date',
    'hrtime',
    'nextTick',
    'performance',
    'queueMicrotask',
    'setImmediate',
    'clearImmediate',
    'setInterval',
    'clearInterval',
  ] as const
  let timers: jest.SpiedFunction<typeof setTimeout>
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: [...real] })
    timers = jest.spyOn(globalThis, 'setTimeout')
  })
  afterEach(() => {
    timers.mockRestore()
    jest.useRealTimers()
  })
  return {
    /** Lets the time of one of our deadlines pass once it has begun. */
    pass: async (ms) => {
      while (!timers.mock.calls.some(([, delay]) => delay === ms)) await new Promise(setImmediate)
      await jest.advanceTimersByTimeAsync(ms)
    },
  }
}

/** Three methods over a storage, which compare what they overwrite and have no lock: each user is a process. */
function withoutLock(storage: TokenStorage): TokenStorage {
  return {
    get: (key) => storage.get(key),
    set: (key, value, o) => storage.set(key, value, o),
    delete: (key) => storage.delete(key),
  }
}

describe('many requests', () => {
  it('with an expired token cost one renewal, and all succeed [concurrency.one-refresh] [RF-01]', async () => {
    const { api } = await signedIn(world)
    world.expireTokens()
    const answers = await many(200, (n) => api.get<Echo>(`/${n}`))
    expect(answers.map(({ data }) => data.url)).toEqual(Array.from({ length: 200 }, (_, n) => `/mcp/${n}`))
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBe(200)
    expect(world.reuseDetections).toBe(0)
    expect(world.user.visits).toHaveLength(1)
  })

  it('whose 401s arrive before and after the renewal cost one, and the late ones are only sent again [concurrency.one-refresh] [replay.late-401] [RF-02]', async () => {
    const { api } = await signedIn(world)
    const renewed = openable()
    world.answer(
      'api',
      async ({ url }, honest) => {
        const verdict = await honest()
        if (Number(url.slice('/mcp/'.length)) % 2 === 1) await renewed.passed
        return verdict
      },
      { times: 200 },
    )
    world.revokeAccessTokens()
    const early = many(100, (n) => api.get(`/${2 * n}`))
    const late = many(100, (n) => api.get(`/${2 * n + 1}`))
    await early
    renewed.open()
    await late
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBe(400)
    expect(world.reuseDetections).toBe(0)
    expect(world.user.visits).toHaveLength(1)
  })

  it('without a session cost one sign-in [concurrency.one-refresh] [flow.single-prompt]', async () => {
    const { api } = world.connect()
    await many(50, (n) => api.get(`/${n}`))
    expect(world.user.visits).toHaveLength(1)
    expect(world.count('register')).toBe(1)
    expect(world.count('token')).toBe(1)
  })

  it('of which one renews early while another one is refused cost one renewal [concurrency.one-refresh] [RF-10]', async () => {
    const { api } = await signedIn(world, { random: steadyRandom })
    const renewal = world.hold('token')
    world.clock.advance(hour - 299_000)
    await api.get('/early')
    await renewal.arrived
    world.revokeAccessTokens()
    const refused = many(10, (n) => api.get(`/${n}`))
    await Promise.resolve()
    renewal.release()
    await refused
    expect(world.count('token')).toBe(1)
    expect(world.reuseDetections).toBe(0)
  })

  it('of two instances of one provider, attached twice, share one flight, and each carries one token [concurrency.one-refresh] [axios.many-instances] [RF-11]', async () => {
    const { api, provider } = await signedIn(world)
    const other = provider.attach(provider.attach(axios.create({ baseURL: world.serverUrl, proxy: false })))
    world.expireTokens()
    await Promise.all([many(10, (n) => api.get(`/a${n}`)), many(10, (n) => other.get(`/b${n}`))])
    expect(world.count('token')).toBe(1)
    for (const { headers } of world.requests('api')) {
      expect(headers.authorization).toBe(`Bearer ${world.liveAccessToken()}`)
    }
  })

  it('get one renewal each when it brings the same token again, and then their 401 [replay.once] [RF-14]', async () => {
    const { api, provider } = await signedIn(world)
    const { access_token = '' } = provider.context.currentTokens ?? {}
    world.revokeAccessTokens()
    world.answer('token', withMembers({ access_token }))
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 401'])
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(1)
  })
})

describe('the lock', () => {
  it('is not held while a request or its stream is under way [concurrency.lock-scope]', async () => {
    const { api } = await signedIn(world)
    const stream = await api.get<NodeJS.ReadableStream & { destroy(): void }>('/stream', { responseType: 'stream' })
    const slow = openable()
    world.answer('api', async (_request, honest) => slow.passed.then(honest), {
      when: ({ url }) => url === '/mcp/slow',
    })
    const pending = api.get('/slow')
    world.expireTokens()
    await api.get('/x')
    await api.get('/needs?scope=more')
    expect(world.user.visits).toHaveLength(2)
    stream.data.destroy()
    slow.open()
    await expect(pending).resolves.toMatchObject({ status: 200 })
  })

  it('is not held while a person is asked: what a token or a renewal serves is served [concurrency.interactive-apart]', async () => {
    const { api, provider } = await signedIn(world)
    const person = world.user.hold()
    const signIn = provider.authorize({ scope: 'more' })
    await person.arrived
    await api.get('/with-the-token')
    world.revokeAccessTokens()
    await api.get('/renewed')
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(mainSteps(world)).toEqual(['api 200', 'api 401', 'token 200', 'api 200'])
    person.release()
    await signIn
    expect((await provider.describe()).scope).toBe('more')
    expect(world.user.visits).toHaveLength(2)
  })

  it.each<[string, ConnectOptions]>([
    ['selectAuthorizationServer', { selectAuthorizationServer: boom }],
    ['transformTokenResponse', { transformTokenResponse: boom }],
    ['clientAuthentication', { clientAuthentication: boom }],
    ['initialAccessToken', { initialAccessToken: boom }],
    ['callbackHandler', { callbackHandler: boom }],
    ['random', { random: boom }],
  ])(
    'is free again after %s has thrown, and nothing stays poisoned [concurrency.lock-freed] [CC-05]',
    async (name, broken) => {
      let isBroken = true
      const options = world.options()
      const working = (options as unknown as Record<string, (...given: unknown[]) => unknown>)[name]
      const fallback: Record<string, (...given: unknown[]) => unknown> = {
        selectAuthorizationServer: (issuers) => (issuers as string[])[0],
        transformTokenResponse: (body) => body,
        clientAuthentication: () => undefined,
        initialAccessToken: () => 'initial-token',
        random: (bytes) => steadyRandom(bytes as number),
      }
      const call = (...given: unknown[]): unknown => {
        if (isBroken) return (broken as Record<string, () => unknown>)[name]?.()
        return (working ?? fallback[name])?.(...given)
      }
      const { api } = world.connect({ [name]: call })
      await rejectionOf(api.get(''))
      isBroken = false
      await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    },
  )

  it.each(['get', 'set', 'delete'] as const)(
    'is free again after storage.%s has failed [concurrency.lock-freed]',
    async (method) => {
      const storage = new ObservedStorage()
      const { api } = world.connect({ storage })
      const failing = jest.spyOn(storage, method).mockRejectedValue(new Error('disk'))
      await api.get('').catch(() => undefined)
      failing.mockRestore()
      await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    },
  )

  describe('held past its deadline is given up', () => {
    const time = pausedTime()
    const never = (): Promise<never> => new Promise(() => undefined)

    it.each<[string, Partial<TokenStorage>, number, string]>([
      ['that is never given, whatever its signal says', { lock: never }, 15_000, 'OAUTH_STORE_LOCK'],
      ['that is not given back', { lock: async (_key, work) => work().then(() => never()) }, 60_000, 'OAUTH_TIMEOUT'],
      ['over a read that never ends', { get: never }, 10_000, 'OAUTH_STORE_READ'],
    ])('%s [concurrency.lock-freed] [AB-08]', async (_which, broken, ms, code) => {
      const memory = new MemoryTokenStorage()
      const storage: TokenStorage = { ...withoutLock(memory), lock: (key, work, o) => memory.lock(key, work, o) }
      const working = { ...storage }
      const { provider } = world.connect({ storage })
      Object.assign(storage, broken)
      const waiting = rejectionOf(provider.signOut({ revoke: false }))
      await time.pass(ms)
      expect(await waiting).toMatchObject({ code, retryable: true })
      Object.assign(storage, working)
      await expect(provider.signOut({ revoke: false })).resolves.toBeUndefined()
    })
  })
})

describe('a runtime that cannot tell who calls', () => {
  const time = pausedTime()

  it('ends the wait of code that asks where it is waited for by the deadline over it, and serves it then [concurrency.reentrant]', async () => {
    const lookUp = jest.spyOn(process as unknown as { getBuiltinModule: () => unknown }, 'getBuiltinModule')
    lookUp.mockReturnValue(undefined)
    const storage = new ObservedStorage()
    const { provider } = world.connect({ storage })
    const get = storage.get.bind(storage)
    let nested: Promise<string> | undefined
    jest.spyOn(storage, 'get').mockImplementation(async (key) => {
      if (nested === undefined) await (nested = provider.getAccessToken())
      return get(key)
    })
    const outer = rejectionOf(provider.getAccessToken())
    await time.pass(10_000)
    expect(await outer).toMatchObject({ code: 'OAUTH_STORE_READ', retryable: true })
    expect(await nested).toBe(world.liveAccessToken())
    lookUp.mockRestore()
  })
})

function boom(): never {
  throw new Error('the application’s own failure')
}

describe('a waiting request', () => {
  it('that aborts stops at once with axios’s own error, and the others do not notice [concurrency.waiter-aborts] [RF-16]', async () => {
    const { api } = await signedIn(world)
    world.expireTokens()
    const renewal = world.hold('token')
    const controller = new AbortController()
    const leaver = rejectionOf(api.get('/leaver', { signal: controller.signal }))
    const others = many(99, (n) => api.get(`/${n}`))
    await renewal.arrived
    controller.abort()
    const error = await leaver
    expect(axios.isCancel(error)).toBe(true)
    expect((error as AxiosError).code).toBe('ERR_CANCELED')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    renewal.release()
    expect(await others).toHaveLength(99)
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBe(99)
  })

  it.each([
    [false, 'ECONNABORTED'],
    [true, 'ETIMEDOUT'],
  ])(
    'whose timeout is shorter than the renewal ends as axios would (clarifyTimeoutError %s), and the next caller profits [concurrency.waiter-aborts] [concurrency.detached] [AB-10] [TK-42]',
    async (clarifyTimeoutError, code) => {
      const { api } = await signedIn(world)
      world.expireTokens()
      const renewal = world.hold('token')
      const error = await rejectionOf(api.get('', { timeout: 30, transitional: { clarifyTimeoutError } }))
      expect(error).toMatchObject({ isAxiosError: true, code, message: 'timeout of 30ms exceeded' })
      expect(axios.isCancel(error)).toBe(false)
      renewal.release()
      await expect(api.get('')).resolves.toMatchObject({ status: 200 })
      expect(world.count('token')).toBe(1)
    },
  )

  it('may be the last one to leave: the renewal ends all the same, and what it brings is stored [concurrency.detached] [RF-15] [AB-07]', async () => {
    const storage = new ObservedStorage()
    const { api } = await signedIn(world, { storage })
    world.expireTokens()
    const renewal = world.hold('token')
    const controllers = Array.from({ length: 20 }, () => new AbortController())
    const leavers = many(20, (n) => rejectionOf(api.get(`/${n}`, { signal: controllers[n]?.signal as AbortSignal })))
    await renewal.arrived
    for (const controller of controllers) controller.abort()
    for (const error of await leavers) expect(axios.isCancel(error)).toBe(true)
    const stored = storage.hold('tokens')
    renewal.release()
    const { tokens } = await stored.arrived
    stored.release()
    expect((tokens as { access_token: string }).access_token).toBe(world.liveAccessToken())
    await world.connect({ storage }).api.get('/next')
    expect(world.count('token')).toBe(1)
    expect(world.reuseDetections).toBe(0)
  })
})

describe('flights', () => {
  it('of two users of one resource and storage run side by side, and neither gets the other’s token [concurrency.keyed] [RF-12]', async () => {
    const storage = new MemoryTokenStorage({ now: world.clock.now })
    const [ann, bob] = [
      await signedIn(world, { storage, partition: 'ann' }),
      await signedIn(world, { storage, partition: 'bob' }),
    ]
    world.expireTokens()
    const slow = openable()
    world.answer('token', async (_request, honest) => slow.passed.then(honest), { times: 1 })
    const first = ann.api.get('/ann')
    await Promise.resolve()
    while (world.count('token') === 0) await new Promise(setImmediate)
    await bob.api.get('/bob')
    slow.open()
    await first
    const sentTo = (path: string): unknown =>
      world.requests('api').find(({ url }) => url === path)?.headers.authorization
    expect(sentTo('/mcp/ann')).not.toBe(sentTo('/mcp/bob'))
    expect(world.user.visits).toHaveLength(2)
    const tokens = new Set(world.requests('token').map(({ form }) => form?.get('refresh_token')))
    expect(tokens.size).toBe(2)
  })

  it('of two clients of one server are apart [concurrency.keyed]', async () => {
    const storage = new MemoryTokenStorage({ now: world.clock.now })
    const machine = (): ConnectOptions => {
      const { redirect_uris: _, ...clientInformation } = world.addClient()
      return { storage, grant: clientCredentials(), clientInformation }
    }
    const [first, second] = [world.connect(machine()).provider, world.connect(machine()).provider]
    const tokens = await Promise.all([first.getAccessToken(), second.getAccessToken()])
    expect(new Set(tokens).size).toBe(2)
    expect(world.count('token')).toBe(2)
  })

  it('that fail give everybody the same failure, which is not kept [concurrency.failure-shared]', async () => {
    const { api } = await signedIn(world, { random: steadyRandom })
    world.expireTokens()
    const outage = world.answer('token', { status: 503 })
    const errors = (await many(20, (n) => rejectionOf(api.get(`/${n}`)))) as OAuthFlowError[]
    expect(new Set(errors.map(({ code, message }) => `${code} ${message}`)).size).toBe(1)
    expect(errors[0]).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(world.count('token')).toBe(3)
    outage()
    world.clock.advance(3000)
    await many(20, (n) => api.get(`/${n}`))
    expect(world.count('token')).toBe(4)
  })

  it('to the person that fail are not kept either [concurrency.failure-shared]', async () => {
    const { api } = world.connect()
    world.user.deny()
    for (const error of await many(10, (n) => rejectionOf(api.get(`/${n}`)))) {
      expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    }
    expect(world.user.visits).toHaveLength(1)
    world.user.approve()
    await many(10, (n) => api.get(`/${n}`))
    expect(world.user.visits).toHaveLength(2)
  })
})

describe('a session that ends or begins during a renewal', () => {
  it('by signOut() leaves nothing of its result in store or use [concurrency.detached] [RF-07]', async () => {
    const storage = new ObservedStorage()
    const { api, provider } = await signedIn(world, { storage })
    world.expireTokens()
    const renewal = world.hold('token')
    const waiting = many(5, (n) => rejectionOf(api.get(`/${n}`)))
    await renewal.arrived
    const signedOut = provider.signOut()
    renewal.release()
    await signedOut
    for (const error of await waiting) expect(error).toMatchObject({ code: 'OAUTH_ABORTED' })
    expect(world.count('api')).toBe(0)
    expect(storage.records('tokens').filter(({ tokens }) => tokens !== undefined)).toEqual([])
    expect(storage.holds('refresh-')).toBe(false)
    expect(() => world.liveAccessToken()).toThrow()
    expect(world.count('revoke')).toBe(2)
  })

  it('by a sign-in of another process wins over the older result [concurrency.detached] [RF-08]', async () => {
    const shared = new MemoryTokenStorage({ now: world.clock.now })
    const renewing = await signedIn(world, { storage: withoutLock(shared) })
    const other = world.connect({ storage: withoutLock(shared) })
    world.expireTokens()
    const slow = openable()
    world.answer('token', async (_request, honest) => slow.passed.then(honest), { times: 1 })
    const old = renewing.api.get('/old')
    while (world.count('token') === 0) await new Promise(setImmediate)
    await other.provider.authorize()
    const newest = world.liveAccessToken()
    slow.open()
    await old
    expect(await world.connect({ storage: shared }).provider.getAccessToken()).toBe(newest)
    expect(await renewing.provider.getAccessToken()).toBe(newest)
    expect(world.requests('api').at(-1)?.headers.authorization).toBe(`Bearer ${newest}`)
  })

  it('whose tokens cannot be stored lives in memory; it is told, and stored when that is possible again [RF-13] [concurrency.lock-freed]', async () => {
    const storage = new ObservedStorage()
    const { api, provider } = await signedIn(world, { storage })
    const told: unknown[] = []
    provider.on('storageFailed', (event) => told.push(event))
    world.expireTokens()
    const full = jest.spyOn(storage, 'set').mockRejectedValue(new Error('ENOSPC'))
    await many(10, (n) => api.get(`/${n}`))
    expect(told).toMatchObject([{ code: 'OAUTH_STORE_WRITE', operation: 'write' }])
    expect(world.leaksIn(told)).toEqual([])
    await api.get('/again')
    expect(world.count('token')).toBe(1)
    full.mockRestore()
    world.expireTokens()
    await api.get('/later')
    expect(storage.holds(world.liveAccessToken())).toBe(true)
    expect(world.reuseDetections).toBe(0)
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('code of the application that asks the provider it is called by', () => {
  const conflict = { name: 'OAuthFlowError', code: 'OAUTH_CONFLICT', retryable: false }

  /** What the first call of a function of the application came to when that asked for a token and for a resource. */
  function asking({ api, provider }: Connection): { ask(): Promise<void>; readonly outcomes: Promise<unknown[]> } {
    let settle: (outcomes: unknown[]) => void = () => undefined
    const outcomes = new Promise<unknown[]>((resolve) => (settle = resolve))
    let asked = false
    const ask = async (): Promise<void> => {
      if (asked) return
      asked = true
      const calls = [provider.getAccessToken(), api.get('/nested').then(({ status }) => status)]
      settle(await Promise.all(calls.map((call) => call.catch((error: unknown) => error))))
    }
    return { ask, outcomes }
  }

  it.each(['get', 'set', 'delete', 'lock'] as const)(
    'in storage.%s gets the token at hand [concurrency.reentrant]',
    async (method) => {
      const memory = new MemoryTokenStorage({ now: world.clock.now })
      const storage: TokenStorage = { ...withoutLock(memory), lock: (key, work, o) => memory.lock(key, work, o) }
      const connection = await signedIn(world, { storage })
      const first = world.liveAccessToken()
      const { ask, outcomes } = asking(connection)
      const original = storage[method] as (...given: unknown[]) => Promise<unknown>
      Object.assign(storage, { [method]: async (...given: unknown[]) => (await ask(), original(...given)) })
      await connection.api.get('/needs?scope=more')
      expect(await outcomes).toEqual([first, 200])
    },
  )

  it.each(['get', 'set', 'lock'] as const)(
    'in storage.%s without a token at hand gets a typed error at once, and the flow goes on [concurrency.reentrant] [CC-07]',
    async (method) => {
      const memory = new MemoryTokenStorage({ now: world.clock.now })
      const storage: TokenStorage = { ...withoutLock(memory), lock: (key, work, o) => memory.lock(key, work, o) }
      const connection = await signedIn(world, { storage })
      world.expireTokens()
      const { ask, outcomes } = asking(connection)
      const original = storage[method] as (...given: unknown[]) => Promise<unknown>
      Object.assign(storage, { [method]: async (...given: unknown[]) => (await ask(), original(...given)) })
      await expect(connection.api.get('')).resolves.toMatchObject({ status: 200 })
      for (const outcome of await outcomes) expect(outcome).toMatchObject(conflict)
      expect(world.count('token')).toBe(1)
    },
  )

  it('in the first read of a storage gets a typed error at once [concurrency.reentrant]', async () => {
    const storage = new ObservedStorage()
    const connection = world.connect({ storage })
    const { ask, outcomes } = asking(connection)
    const get = storage.get.bind(storage)
    jest.spyOn(storage, 'get').mockImplementation(async (key) => (await ask(), get(key)))
    await expect(connection.api.get('')).resolves.toMatchObject({ status: 200 })
    for (const outcome of await outcomes) expect(outcome).toMatchObject(conflict)
  })

  it.each(['clientAuthentication', 'initialAccessToken', 'redirectHandler', 'callbackHandler'] as const)(
    'in %s gets a typed error at once, and the flow goes on [concurrency.reentrant] [CC-07]',
    async (name) => {
      const { redirectHandler, callbackHandler } = world.user
      let ask = (): Promise<void> => Promise.resolve()
      const functions = {
        clientAuthentication: () => ask(),
        initialAccessToken: async () => (await ask(), 'initial-token'),
        redirectHandler: async (url: string) => (await ask(), redirectHandler(url)),
        callbackHandler: async (o: { state: string; signal: AbortSignal }) => (await ask(), callbackHandler(o)),
      }
      const connection = world.connect({ [name]: functions[name] })
      const nested = asking(connection)
      ask = nested.ask
      await expect(connection.api.get('')).resolves.toMatchObject({ status: 200 })
      for (const outcome of await nested.outcomes) expect(outcome).toMatchObject(conflict)
      expect(world.user.visits).toHaveLength(1)
    },
  )

  it('in a handler of a step-up is served by the token at hand and by a renewal [concurrency.reentrant] [concurrency.interactive-apart]', async () => {
    const { redirectHandler } = world.user
    let ask = (): Promise<void> => Promise.resolve()
    const connection = await signedIn(world, { redirectHandler: async (url) => (await ask(), redirectHandler(url)) })
    const first = asking(connection)
    ask = first.ask
    await connection.provider.authorize({ scope: 'a' })
    expect((await first.outcomes)[1]).toBe(200)
    world.expireTokens()
    const second = asking(connection)
    ask = second.ask
    await connection.provider.authorize({ scope: 'b' })
    expect((await second.outcomes)[1]).toBe(200)
  })

  it.each(['refreshed', 'authorized', 'stepUp'] as const)(
    'in a listener of %s waits like anybody else, and is served [concurrency.reentrant]',
    async (event) => {
      const connection = await signedIn(world)
      const { api, provider } = connection
      const longer = new Promise<string>((resolve) => {
        const stop = provider.on(event, () => {
          stop()
          resolve(provider.getAccessToken({ minValidity: 2 * hour }))
        })
      })
      world.expireTokens()
      await api.get('/needs?scope=more')
      expect(await longer).toMatch(/^access-/)
      await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
      expect(world.reuseDetections).toBe(0)
    },
  )

  it('without waiting for the answer there is served as soon as the lock is free [concurrency.reentrant]', async () => {
    const storage = new ObservedStorage()
    const { api, provider } = await signedIn(world, { storage })
    world.expireTokens()
    await api.get('')
    let later: Promise<string> | undefined
    const set = storage.set.bind(storage)
    jest.spyOn(storage, 'set').mockImplementation((key, value) => {
      later ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => provider.getAccessToken())
      return set(key, value)
    })
    await provider.authorize()
    expect(await later).toMatch(/^access-/)
  })

  it('does not mark calls of others: they wait for the lock and are served [concurrency.reentrant] [concurrency.one-refresh]', async () => {
    const storage = new ObservedStorage()
    const { api, provider } = await signedIn(world, { storage })
    world.expireTokens()
    const write = storage.hold('tokens')
    const first = api.get('/first')
    await write.arrived
    const others = many(5, (n) => api.get(`/${n}`))
    const token = provider.getAccessToken({ minValidity: 10 })
    const signOut = provider.describe()
    write.release()
    await Promise.all([first, others, signOut])
    expect(await token).toBe(world.liveAccessToken())
    expect(world.count('token')).toBe(1)
  })
})

/** Bytes that are held, garbage collected. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

describe('ten thousand callers', () => {
  const count = 10_000

  it('of one sign-in are one prompt, and all are served [CC-01] [flow.single-prompt]', async () => {
    const { provider } = world.connect()
    const person = world.user.hold()
    const before = heapInUse()
    const signals = Array.from({ length: count }, () => new AbortController().signal)
    const waiting = Promise.all(signals.map((signal) => provider.getAccessToken({ signal })))
    await person.arrived
    const used = heapInUse() - before
    expect(used).toBeLessThan(100 * 1024 * 1024)
    expect(signals.every((signal) => getEventListeners(signal, 'abort').length <= 1)).toBe(true)
    person.release()
    expect(new Set(await waiting)).toEqual(new Set([world.liveAccessToken()]))
    expect(world.user.visits).toHaveLength(1)
    expect(world.count('token')).toBe(1)
  })

  it('of one sign-in that fails get a typed rejection each [CC-02] [concurrency.failure-shared]', async () => {
    const { provider } = world.connect()
    world.user.deny()
    const errors = await many(count, () => rejectionOf(provider.getAccessToken()))
    expect(new Set(errors.map((error) => (error as OAuthFlowError).code))).toEqual(
      new Set(['OAUTH_AUTHORIZATION_DENIED']),
    )
    expect(world.user.visits).toHaveLength(1)
  })

  it('with signals of their own leave no listener when they abort [CC-03] [concurrency.waiter-aborts]', async () => {
    const { provider } = await signedIn(world)
    world.expireTokens()
    const renewal = world.hold('token')
    const controllers = Array.from({ length: count }, () => new AbortController())
    const waiting = Promise.all(controllers.map(({ signal }) => rejectionOf(provider.getAccessToken({ signal }))))
    await renewal.arrived
    for (const controller of controllers) controller.abort(new Error('gone'))
    const errors = await waiting
    expect(errors.every((error) => (error as Error).message === 'gone')).toBe(true)
    expect(controllers.every(({ signal }) => getEventListeners(signal, 'abort').length === 0)).toBe(true)
    renewal.release()
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(world.count('token')).toBe(1)
  })
})

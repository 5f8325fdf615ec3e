import axios, { isCancel, type AxiosRequestConfig } from 'axios'
import { startWorld, type Connection, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

async function signedIn(config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect({}, config)
  await connection.api.get('')
  world.forget()
  return connection
}

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => error,
  )

/** A listener count by hand: `AbortSignal` does not tell its own. */
function countedSignal(): { signal: AbortSignal; abort: () => void; listeners: () => number } {
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...o: Parameters<typeof add>) => {
    listeners += 1
    add(...o)
  }
  signal.removeEventListener = (...o: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...o)
  }
  return { signal, abort: () => controller.abort(), listeners: () => listeners }
}

describe('a request that waits for a renewal', () => {
  it('gives up at once with its own signal, and the renewal goes on and is stored [concurrency.waiter-aborts] [concurrency.detached] [AB-07]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const gate = world.hold('token')
    const controller = new AbortController()
    const leaving = caught(api.get('/leaving', { signal: controller.signal }))
    const staying = api.get('/staying')
    await gate.arrived
    controller.abort()
    const error = await leaving
    expect(isCancel(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'ERR_CANCELED',
      name: 'CanceledError',
      message: 'canceled',
      config: { url: '/leaving' },
    })
    expect(world.leaksIn(error)).toEqual([])
    gate.release()
    await expect(staying).resolves.toMatchObject({ status: 200 })
    expect(world.count('token')).toBe(1)
  })

  it('gives up with an axios cancel token, with its reason [concurrency.waiter-aborts]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const gate = world.hold('token')
    const source = axios.CancelToken.source()
    const leaving = caught(api.get('', { cancelToken: source.token }))
    await gate.arrived
    source.cancel('enough')
    const error = await leaving
    expect(isCancel(error)).toBe(true)
    expect(error).toMatchObject({ message: 'enough' })
    gate.release()
    await api.get('')
    expect(world.count('token')).toBe(1)
  })

  it.each<readonly [string, AxiosRequestConfig, object]>([
    ['ECONNABORTED', {}, { message: 'timeout of 40ms exceeded' }],
    ['ETIMEDOUT', { transitional: { clarifyTimeoutError: true } }, {}],
    ['ECONNABORTED', { timeoutErrorMessage: 'too slow' }, { message: 'too slow' }],
  ])('gives up with axios’s own %s after its timeout, %j [AB-10]', async (code, config, expected) => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const gate = world.hold('token')
    const startedAt = performance.now()
    const error = await caught(api.get('/x', { ...config, timeout: 40 }))
    expect(performance.now() - startedAt).toBeLessThan(540)
    expect(error).toMatchObject({ isAxiosError: true, code, config: { url: '/x', timeout: 40 }, ...expected })
    expect(isCancel(error)).toBe(false)
    gate.release()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.count('token')).toBe(1)
  })

  it('gives up before it is sent when its token has expired [AB-10] [concurrency.waiter-aborts]', async () => {
    const { api } = await signedIn()
    world.expireTokens()
    const gate = world.hold('token')
    await expect(api.get('', { timeout: 40 })).rejects.toMatchObject({ code: 'ECONNABORTED' })
    expect(world.count('api')).toBe(0)
    gate.release()
  })

  it('leaves no listener on a signal that lives longer [concurrency.waiter-aborts]', async () => {
    const { api } = await signedIn()
    const { signal, listeners } = countedSignal()
    const source = axios.CancelToken.source()
    for (let request = 0; request < 5; request += 1) {
      world.revokeAccessTokens()
      await api.get('', { signal, cancelToken: source.token, timeout: 10_000 })
    }
    expect(listeners()).toBe(0)
    expect((source.token as unknown as { _listeners?: unknown[] })._listeners ?? []).toEqual([])
  })
})

describe('a request that waits for a person', () => {
  it('gives up at once; the person’s sign-in serves the others [concurrency.waiter-aborts]', async () => {
    const { api } = world.connect()
    const gate = world.user.hold()
    const controller = new AbortController()
    const leaving = caught(api.get('', { signal: controller.signal }))
    const hasty = caught(api.get('', { timeout: 200 }))
    const staying = api.get('')
    await gate.arrived
    controller.abort()
    expect(isCancel(await leaving)).toBe(true)
    expect(await hasty).toMatchObject({ code: 'ECONNABORTED' })
    gate.release()
    await expect(staying).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('an abort', () => {
  it('before the start sends nothing [AB-01]', async () => {
    const { api, provider } = world.connect()
    const signal = AbortSignal.abort()
    expect(isCancel(await caught(api.get('', { signal })))).toBe(true)
    await expect(provider.getAccessToken({ signal })).rejects.toBe(signal.reason)
    expect(world.journal).toEqual([])
  })

  it('during the first sending is axios’s own, and nothing follows [AB-09]', async () => {
    const { api } = await signedIn()
    const gate = world.hold('api')
    const controller = new AbortController()
    const sending = caught(api.get('', { signal: controller.signal }))
    await gate.arrived
    controller.abort()
    expect(isCancel(await sending)).toBe(true)
    gate.release()
    expect(world.order()).toEqual(['rs GET /mcp'])
  })

  it('during the second sending is axios’s own, and there is no third [AB-09]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const controller = new AbortController()
    world.answer(
      'api',
      () => {
        controller.abort()
        return 'hang'
      },
      { when: ({ headers }) => headers.authorization === `Bearer ${liveToken()}` },
    )
    const error = await caught(api.get('', { signal: controller.signal }))
    expect(isCancel(error)).toBe(true)
    expect(world.leaksIn(error)).toEqual([])
    expect(world.order()).toEqual(['rs GET /mcp', 'as POST /token', 'rs GET /mcp'])
  })

  function liveToken(): string | undefined {
    try {
      return world.liveAccessToken()
    } catch {
      return undefined
    }
  }
})

describe('detach()', () => {
  it('rejects a hundred waiting requests, and leaves no timer behind [AB-11]', async () => {
    const { api, provider } = world.connect()
    const baseline = timers()
    const gate = world.user.hold()
    const controller = new AbortController()
    const waiting = Array.from({ length: 100 }, (_, index) =>
      caught(api.get(`/${index}`, { timeout: 60_000, signal: controller.signal })),
    )
    await gate.arrived
    const timersBefore = timers()
    provider.detach(api)
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'OAUTH_ABORTED', phase: 'request' })
    }
    // The abandoned sign-in cleans up in the store, each step with a deadline of its own.
    for (let turn = 0; turn < 10_000 && timers() > baseline; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(timersBefore).toBeGreaterThan(baseline)
    expect(timers()).toBeLessThanOrEqual(baseline)
    gate.release()
  })

  it('removes everything: later requests are plain, and what was under way ends with its answer [axios.many-instances]', async () => {
    const { api, provider } = await signedIn()
    const gate = world.hold('api')
    const underWay = api.get('/under-way')
    await gate.arrived
    provider.detach(api)
    gate.release()
    await expect(underWay).resolves.toMatchObject({ status: 200 })
    await expect(api.get('/plain')).rejects.toMatchObject({ response: { status: 401 } })
    expect(world.requests('api').map(({ headers }) => headers.authorization === undefined)).toEqual([false, true])
    expect(world.order()).toEqual(['rs GET /mcp/under-way', 'rs GET /mcp/plain'])
  })

  it('lets a request whose token is refused afterwards give up [AB-11]', async () => {
    const { api, provider } = await signedIn()
    world.revokeAccessTokens()
    const baseline = timers()
    const gate = world.hold('api')
    const underWay = caught(api.get('', { timeout: 60_000 }))
    await gate.arrived
    provider.detach()
    gate.release()
    expect(await underWay).toMatchObject({ code: 'OAUTH_ABORTED' })
    expect(timers()).toBeLessThanOrEqual(baseline)
  })
})

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

import { Agent } from 'node:http'
import { isAxiosError, type AxiosError, type AxiosRequestConfig, type AxiosResponse } from 'axios'
import { startWorld, type Connection, type ConnectOptions, type Echo, type Entry, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

/** A provider with a session whose token the resource has accepted, and a journal that begins after that. */
async function signedIn(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.api.get('')
  world.forget()
  return connection
}

function withoutAuthorization({ headers: { authorization: _, ...headers } }: Entry): Entry['headers'] {
  return headers
}

describe('a refused token', () => {
  it('leads to a silent renewal and one replay, without asking anybody [replay.order] [replay.once]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
    expect(world.user.visits).toHaveLength(1)
  })

  it('leads to the person only when the session has ended for good, and then to one replay [replay.order]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    world.endSession()
    await api.get('')
    expect(world.steps().filter((step) => /^(api|token|authorize)/.test(step))).toEqual([
      'api 401',
      'token 400',
      'authorize 302',
      'token 200',
      'api 200',
    ])
  })

  it('asks nobody when the renewal fails for the moment, and rejects as retryable with the 401 [replay.order] [errors.request-rejects]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const outage = world.answer('token', { status: 503, headers: { 'Retry-After': '3600' }, body: 'down' })
    const error: unknown = await api.get('/x').catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true, response: { status: 401 } })
    expect(world.user.visits).toHaveLength(1)
    expect(world.steps()).toEqual(['api 401', 'token 503'])
    outage()
    world.clock.advance(3_600_001)
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
  })

  it('whose renewal fails for many requests at once leaves each with its own 401 [errors.request-rejects]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const gate = world.hold('token')
    world.answer('token', { status: 503, headers: { 'Retry-After': '3600' } })
    const paths = ['/a', '/b', '/c']
    const failing = paths.map((path) => api.get(path).catch((error: unknown) => error))
    await gate.arrived
    gate.release()
    const errors = (await Promise.all(failing)) as { code: string; response: AxiosResponse }[]
    expect(errors.map(({ code }) => code)).toEqual(Array(3).fill('OAUTH_TEMPORARY'))
    expect(errors.map(({ response }) => response.config.url)).toEqual(paths)
    expect(world.leaksIn(errors.map(({ response }) => response))).toEqual([])
  })

  it('that is refused for ever costs two sendings, one renewal, and ends in the API’s own 401 [replay.once] [LP-01] [LP-02]', async () => {
    const { api } = await signedIn()
    world.answer('api', {
      status: 401,
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
      body: { reason: 'because' },
    })
    const error = await api.get('').catch((caught: unknown) => caught as AxiosError)
    expect(isAxiosError(error)).toBe(true)
    expect(error).toMatchObject({
      response: { status: 401, data: { reason: 'because' } },
      cause: { code: 'OAUTH_LOOP' },
    })
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 401'])
    expect(world.user.visits).toHaveLength(1)
  })

  it('has a fresh limit in the next request [replay.once]', async () => {
    const { api } = await signedIn()
    for (let round = 1; round <= 3; round += 1) {
      world.revokeAccessTokens()
      await api.get('')
    }
    expect(world.steps()).toEqual(Array(3).fill(['api 401', 'token 200', 'api 200']).flat())
  })

  it('is not renewed when a newer one is there: the slow request is sent with that [replay.late-401]', async () => {
    const { api } = await signedIn()
    const slow = openable()
    world.answer('api', async (_entry, honest) => slow.passed.then(honest), {
      when: ({ url }) => url === '/mcp/slow',
      times: 1,
    })
    const late = api.get('/slow')
    await slow.arrived(() => world.count('api') === 1)
    world.revokeAccessTokens()
    await api.get('/quick')
    expect(world.count('token')).toBe(1)
    slow.open()
    await expect(late).resolves.toMatchObject({ status: 200 })
    expect(world.count('token')).toBe(1)
    expect(world.order().filter((step) => step.endsWith('/slow'))).toHaveLength(2)
  })

  it('is not renewed again within ten seconds of its issue while none was accepted, and is after that [replay.fresh-rejected]', async () => {
    const { api } = await signedIn()
    const refusing = world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' }, body: 'no' })
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(1)
    for (let request = 1; request <= 5; request += 1) await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBe(7)
    world.clock.advance(9_999)
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(1)
    world.clock.advance(1)
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(2)
    refusing()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('of a hundred requests at once costs one renewal [replay.late-401] [concurrency.one-refresh] [LP-03]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => api.get<Echo>(`/${index}`)))
    expect(new Set(answers.map(({ data }) => data.url)).size).toBe(100)
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBeLessThanOrEqual(200)
    expect(world.reuseDetections).toBe(0)
  })
})

describe('the replay', () => {
  it('is the same request: method, URL, headers and bytes [replay.same-request]', async () => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    const body = { text: 'ü€😀', list: [1, 2, 3] }
    await api.put('/x?a=1', body, { headers: { 'Idempotency-Key': 'k-1', 'X-Trace': 't' }, params: { b: 'c d' } })
    const [first, second] = world.requests('api') as [Entry, Entry]
    expect(second.method).toBe('PUT')
    expect(second.url).toBe(first.url)
    expect(withoutAuthorization(second)).toEqual(withoutAuthorization(first))
    expect(second.body.equals(first.body)).toBe(true)
    expect(second.headers.authorization).not.toBe(first.headers.authorization)
    expect(JSON.parse(second.body.toString())).toEqual(body)
  })

  it('runs no interceptor and no transform again [replay.interceptors-once]', async () => {
    const ran: string[] = []
    const note = <T>(name: string, value: T): T => {
      ran.push(name)
      return value
    }
    const { api } = await signedIn(
      {},
      {
        transformRequest: [(data: unknown) => note('transformRequest', data as string)],
        transformResponse: [(data: unknown) => note('transformResponse', data)],
      },
    )
    api.interceptors.request.use((config) => note('request interceptor', config))
    api.interceptors.response.use(
      (response) => note('response interceptor', response),
      (error: Error) => Promise.reject(note('error interceptor', error)),
    )
    ran.length = 0
    world.revokeAccessTokens()
    await api.post('', 'text')
    expect(world.count('api')).toBe(2)
    expect(ran).toEqual(['request interceptor', 'transformRequest', 'transformResponse', 'response interceptor'])
  })

  const validations: readonly (readonly [string, AxiosRequestConfig['validateStatus']])[] = [
    ['() => true', () => true],
    ['null', null],
    ['status < 500', (status) => status < 500],
    ['status === 200', (status) => status === 200],
    ['status === 401', (status) => status === 401],
  ]
  it.each(validations)(
    'happens under validateStatus %s, which judges the last answer [replay.any-validate-status] [LP-17]',
    async (name, validateStatus) => {
      const { api } = await signedIn()
      world.revokeAccessTokens()
      const outcome: unknown = await api
        .get('', { validateStatus: validateStatus ?? null })
        .catch((caught: unknown) => caught)
      expect(outcome).toMatchObject(name === 'status === 401' ? { response: { status: 200 } } : { status: 200 })
      expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
      expect(world.leaksIn(outcome)).toEqual([])
      world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' }, body: 'no' })
      const refused: unknown = await api
        .get('', { validateStatus: validateStatus ?? null })
        .catch((caught: unknown) => caught)
      expect(isAxiosError(refused)).toBe(name === 'status === 200')
      expect(isAxiosError(refused) ? refused.response?.status : (refused as { status: number }).status).toBe(401)
      expect(world.leaksIn(refused)).toEqual([])
    },
  )

  it('widens the scope under any validateStatus [replay.any-validate-status]', async () => {
    const { api } = await signedIn()
    await expect(api.get('/needs?scope=more', { validateStatus: () => true })).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(2)
  })

  it('frees the socket of the refused answer first, read or not [replay.discards-first]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { api } = await signedIn({}, { httpAgent })
    for (const responseType of ['stream', 'text', 'arraybuffer', 'json'] as const) {
      world.revokeAccessTokens()
      const { data } = await api.get<AsyncIterable<Buffer>>('', { responseType })
      if (responseType === 'stream') expect(await textOf(data)).toContain('"method":"GET"')
    }
    expect(world.count('token')).toBe(4)
    httpAgent.destroy()
  })

  it('does not wait for the end of a refused stream that never ends [replay.discards-first]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { api } = await signedIn({}, { httpAgent })
    const headers = { 'WWW-Authenticate': 'Bearer error="invalid_token"' }
    for (const status of [401, 403]) {
      const scope = status === 403 ? { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="more"' } : headers
      world.answer('api', { status, headers: scope, body: 'endless', open: true }, { times: 1 })
      const { data } = await api.get<AsyncIterable<Buffer>>('', { responseType: 'stream' })
      expect(await textOf(data)).toContain('"method":"GET"')
    }
    expect(world.steps().filter((step) => step.startsWith('api'))).toEqual(['api 401', 'api 200', 'api 403', 'api 200'])
    httpAgent.destroy()
  })
})

describe('other answers', () => {
  it.each([200, 204, 301, 400, 402, 404, 409, 425, 429, 500, 502, 503])(
    'of status %i pass unchanged, whatever challenge they carry [replay.others-untouched] [challenge.relevant-status]',
    async (status) => {
      const { api } = await signedIn()
      const headers = { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="more"' }
      world.answer('api', { status, headers, body: status === 204 ? '' : 'theirs' })
      const response = await api.get('', { validateStatus: () => true })
      expect([response.status, response.data]).toEqual([status, status === 204 ? '' : 'theirs'])
      expect(world.order()).toEqual(['rs GET /mcp'])
    },
  )

  it('of status 403 without insufficient_scope pass after one sending [replay.others-untouched] [step-up.plain-403] [LP-06]', async () => {
    const { api } = await signedIn()
    for (const headers of [
      {},
      { 'WWW-Authenticate': 'Bearer' },
      { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    ]) {
      world.forget()
      world.answer('api', { status: 403, headers: headers, body: 'no' }, { times: 1 })
      await expect(api.post('', { pay: 1 })).rejects.toMatchObject({ response: { status: 403, data: 'no' } })
      expect(world.order()).toEqual(['rs POST /mcp'])
    }
  })

  it.each(['reset', 'truncate'] as const)(
    'that break off (%s) are no missing login [replay.others-untouched]',
    async (breaking) => {
      const { api } = await signedIn()
      world.answer('api', breaking)
      await expect(api.get('')).rejects.toMatchObject({ isAxiosError: true })
      expect(world.order()).toEqual(['rs GET /mcp'])
    },
  )

  it('count as a refused token where `isUnauthorized` says so [replay.auth-error-hook]', async () => {
    const isUnauthorized = jest.fn(
      ({ status, data }: { status: number; data: unknown }) =>
        status === 400 || status === 403 || (data as { error?: string }).error === 'expired',
    )
    const { api } = await signedIn({ isUnauthorized })
    for (const [status, body] of [
      [400, 'token expired'],
      [403, 'token expired'],
      [200, { error: 'expired' }],
    ] as const) {
      world.forget()
      world.answer('api', { status, body }, { times: 1 })
      await expect(api.get('')).resolves.toMatchObject({ status: 200, data: { method: 'GET' } })
      expect(world.steps()).toEqual([`api ${status}`, 'token 200', 'api 200'])
    }
  })

  it('pass when `isUnauthorized` throws, and when it claims every answer they end after one replay [replay.auth-error-hook] [replay.once]', async () => {
    const throwing = await signedIn({
      isUnauthorized: () => {
        throw new Error('hook')
      },
    })
    await expect(throwing.api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.steps()).toEqual(['api 200'])
    const claiming = await signedIn({ isUnauthorized: () => true })
    world.forget()
    await expect(claiming.api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.count('api')).toBeLessThanOrEqual(2)
  })
})

/** A gate of a spec's own: what waits at it goes on when it is opened. */
function openable(): { passed: Promise<void>; open: () => void; arrived: (there: () => boolean) => Promise<void> } {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  const arrived = async (there: () => boolean): Promise<void> => {
    while (!there()) await new Promise((resolve) => setImmediate(resolve))
  }
  return { passed, open, arrived }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

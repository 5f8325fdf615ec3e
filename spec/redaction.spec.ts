import { Readable } from 'node:stream'
import axios, { AxiosError, isAxiosError, type AxiosInstance, type AxiosRequestConfig } from 'axios'
import { clientCredentials } from 'axios-oauth2'
import { startWorld, type Connection, type ConnectOptions, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

async function signedIn(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.api.get('')
  world.forget()
  return connection
}

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => error,
  )

const adapters = ['http', 'fetch'] as const

describe.each(adapters)('over the %s adapter', (adapter) => {
  it.each(['json', 'text', 'arraybuffer', 'stream'] as const)(
    'a response of type %s shows no token, in config, request or data [axios.config-untouched] [SC-05]',
    async (responseType) => {
      const { api } = await signedIn({}, { adapter, responseType })
      for (const body of [undefined, 'text', Readable.from(['text'])]) {
        const response = await api.post('/x', body)
        expect(world.requests('api')[0]?.headers.authorization).toMatch(/^Bearer /)
        expect(world.leaksIn(response)).toEqual([])
      }
      world.revokeAccessTokens()
      expect(world.leaksIn(await api.get('/x'))).toEqual([])
    },
  )

  const failures: readonly (readonly [string, (api: AxiosInstance) => Promise<unknown>])[] = [
    [
      'a 500 that echoes the header [RQ-19] [SC-03]',
      (api) => {
        world.answer('api', ({ headers }) => ({ status: 500, body: `you sent ${headers.authorization?.slice(0, 6)}` }))
        return api.get('/x')
      },
    ],
    [
      'a 404 to a POST',
      (api) => {
        world.answer('api', { status: 404 })
        return api.post('/x', { a: 1 })
      },
    ],
    [
      'a 401 that remains',
      (api) => {
        world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
        return api.get('/x')
      },
    ],
    [
      'a 500 as stream',
      (api) => {
        world.answer('api', { status: 500, body: 'text' })
        return api.get('/x', { responseType: 'stream' })
      },
    ],
    [
      'a timeout [SC-04]',
      (api) => {
        world.answer('api', 'hang')
        return api.get('/x', { timeout: 30 })
      },
    ],
    [
      'an abort under way [SC-04]',
      async (api) => {
        const controller = new AbortController()
        const gate = world.hold('api')
        const sending = api.post('/x', 'text', { signal: controller.signal })
        await gate.arrived
        controller.abort()
        return sending
      },
    ],
    [
      'a reset [SC-04]',
      (api) => {
        world.answer('api', 'reset')
        return api.post('/x', Readable.from(['text']))
      },
    ],
    [
      'a cut body [SC-04]',
      (api) => {
        world.answer('api', 'truncate')
        return api.get('/x')
      },
    ],
    [
      'maxContentLength [SC-04]',
      (api) => {
        world.answer('api', { body: 'x'.repeat(1000) })
        return api.get('/x', { maxContentLength: 10 })
      },
    ],
    ['maxBodyLength [SC-04]', (api) => api.post('/x', 'x'.repeat(1000), { maxBodyLength: 10 })],
    [
      'a parse error [SC-04]',
      (api) => {
        world.answer('api', { body: '{' })
        return api.get('/x', { responseType: 'json', transitional: { silentJSONParsing: false } })
      },
    ],
    [
      'a transform that throws [SC-04]',
      (api) =>
        api.get('/x', {
          transformResponse: [
            () => {
              throw new AxiosError('mine')
            },
          ],
        }),
    ],
    ['a refused redirect', (api) => api.post(`/redirect?status=307&to=${world.origin.evil}`, 'text')],
  ]
  it.each(failures)('%s shows no token in any rendering [axios.config-untouched] [SC-04]', async (_name, fail) => {
    const { api } = await signedIn({}, { adapter })
    const error = await caught(fail(api))
    expect(error).toBeInstanceOf(Error)
    expect(world.requests('api').at(-1)?.headers.authorization ?? 'Bearer ').toMatch(/^Bearer /)
    expect(world.leaksIn(error)).toEqual([])
  })
})

describe('what the application wrote', () => {
  it('is neither modified nor missing on what it is handed [axios.config-untouched]', async () => {
    const { api } = await signedIn()
    const config: AxiosRequestConfig = Object.freeze({
      headers: Object.freeze({ 'X-Mine': '1' }),
      params: Object.freeze({ a: 1 }),
      auth: Object.freeze({}) as never,
      fetchOptions: Object.freeze({ keepalive: false }),
      beforeRedirect: () => undefined,
      maxRedirects: 3,
    })
    const body = Object.freeze({ a: 1 })
    for (const expire of [false, true]) {
      if (expire) world.revokeAccessTokens()
      const response = await api.post('/x', body, config)
      const { auth, beforeRedirect, maxRedirects, adapter, fetchOptions } = response.config
      expect([beforeRedirect, maxRedirects]).toEqual([config.beforeRedirect, 3])
      expect([auth, fetchOptions]).toEqual([{}, { keepalive: false }])
      expect(adapter).toEqual(api.defaults.adapter)
      expect(response.config.headers.get('X-Mine')).toBe('1')
      expect(response.config.headers.get('Authorization')).toBeFalsy()
    }
  })

  it('of defaults stays the application’s: we set none [SC-06]', async () => {
    const api = axios.create({ baseURL: world.serverUrl, proxy: false })
    const before = JSON.stringify([api.defaults, axios.defaults])
    const { provider } = world.connect()
    provider.attach(api)
    await api.get('')
    expect(JSON.stringify([api.defaults, axios.defaults])).toBe(before)
    expect(world.leaksIn(api)).toEqual([])
    expect(world.leaksIn(api.defaults)).toEqual([])
    expect(world.leaksIn(axios.defaults)).toEqual([])
  })

  it('keeps method, path, host and final URL of a sent request to look at [axios.config-untouched]', async () => {
    const { api } = await signedIn()
    const { request } = await api.get<unknown>('/x?a=1')
    expect(request).toMatchObject({
      method: 'GET',
      path: '/mcp/x?a=1',
      host: '127.0.0.1',
      protocol: 'http:',
      res: { responseUrl: `${world.serverUrl}/x?a=1` },
    })
  })
})

describe('no secret', () => {
  it('is in any rendering of provider, context, error or description through a whole life [redact.everywhere] [SC-01] [redact.describe]', async () => {
    const events: unknown[] = []
    const { api, provider } = world.connect({ scope: 'read' })
    for (const name of [
      'discovered',
      'registered',
      'authorizationRequired',
      'authorized',
      'refreshed',
      'refreshFailed',
      'stepUp',
      'signedOut',
      'sessionEnded',
    ] as const) {
      provider.on(name, (event) => events.push(event))
    }
    const check = async (): Promise<void> => {
      for (const value of [
        provider,
        provider.context,
        provider.resourceClient,
        await provider.describe(),
        api,
        events,
      ]) {
        expect(world.leaksIn(value)).toEqual([])
      }
    }
    await api.get('')
    await check()
    await api.get('/needs?scope=more')
    world.expireTokens()
    await api.get('')
    await check()
    world.endSession()
    world.expireTokens()
    world.user.deny()
    const denied = await caught(api.get(''))
    expect(denied).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    expect(world.leaksIn(denied)).toEqual([])
    await check()
    await provider.signOut()
    await check()
    expect(events.length).toBeGreaterThan(8)
  })

  it('is in the rendering of an error that asks for a sign-in, though accessors give URL and state [redact.everywhere] [SC-08]', async () => {
    const { api } = world.connect({ interactive: false })
    const error = (await caught(api.get(''))) as { authorizationUrl: string; state: string }
    expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED' })
    expect(new URL(error.authorizationUrl).searchParams.get('state')).toBe(error.state)
    await world.user.visit(error.authorizationUrl)
    expect(world.secrets()).toContain(error.state)
    expect(world.leaksIn(error)).toEqual([])
    expect(Object.keys(error)).not.toEqual(expect.arrayContaining(['authorizationUrl']))
  })

  it('is in errors of the token endpoint that quote what they were sent [redact.everywhere] [errors.no-axios-error] [SC-13]', async () => {
    const clientInformation = world.addClient()
    const { api } = world.connect({ grant: clientCredentials(), clientInformation })
    world.answer('token', ({ headers, body }) => ({
      status: 400,
      body: {
        error: 'invalid_client',
        error_description: `${headers.authorization} ${clientInformation.client_secret} ${body.toString()}`,
      },
    }))
    const error = await caught(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR' })
    expect(isAxiosError(error)).toBe(false)
    expect(world.leaksIn(error)).toEqual([])
  })

  it('is in the description, which tells what failed last, of requests as well [redact.describe]', async () => {
    const { api, provider } = world.connect({ scope: 'read' })
    expect(await provider.describe()).toMatchObject({ session: 'none', inMemoryOnly: true, lastFailure: undefined })
    await api.get('')
    const described = await provider.describe()
    expect(described).toMatchObject({
      serverUrl: world.serverUrl,
      grant: 'authorization_code',
      session: 'valid',
      resource: world.serverUrl,
      issuer: world.issuer,
      clientSource: 'dynamic',
      scope: 'read',
      expiresAt: world.clock.now() + 3_600_000,
      refreshable: true,
    })
    expect(described.clientId).toMatch(/^client-/)
    world.revokeAccessTokens()
    world.endSession()
    world.user.deny()
    await caught(api.get(''))
    expect(await provider.describe()).toMatchObject({
      session: 'ended',
      lastFailure: { code: 'OAUTH_AUTHORIZATION_DENIED', at: world.clock.now() },
    })
    expect(world.leaksIn(await provider.describe())).toEqual([])
  })
})

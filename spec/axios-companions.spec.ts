import axios, { type AxiosAdapter, type AxiosError, type AxiosInstance, type CreateAxiosDefaults } from 'axios'
import { setupCache } from 'axios-cache-interceptor'
import MockAdapter from 'axios-mock-adapter'
import axiosRetry from 'axios-retry'
import { oauth, type OAuthClientProvider } from 'axios-oauth2'
import { startWorld, type Connection, type Echo, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

const orders = ['before', 'after'] as const

/** An instance to which something else is attached before or after the plugin; with a session. */
async function together(
  order: (typeof orders)[number],
  attach: (api: AxiosInstance) => void,
  config: CreateAxiosDefaults = {},
): Promise<Connection> {
  const api = axios.create({ baseURL: world.serverUrl, proxy: false, ...config })
  if (order === 'before') attach(api)
  const provider = oauth(api, world.options())
  if (order === 'after') attach(api)
  await provider.authorize()
  world.forget()
  return { api, provider }
}

const bearers = (): (string | undefined)[] => world.requests('api').map(({ headers }) => headers.authorization)

describe.each(orders)('axios-retry installed %s the plugin', (order) => {
  const retrying = (api: AxiosInstance): void => {
    const retryCondition = ({ response }: AxiosError): boolean => (response?.status ?? 0) >= 500
    axiosRetry(api, { retries: 3, retryDelay: () => 0, retryCondition })
  }

  it('sends again what failed, each time with one token header, without a renewal [axios.decorated-once] [LP-14]', async () => {
    const { api } = await together(order, retrying)
    world.answer('api', { status: 503 }, { times: 3 })
    await expect(api.post('', { a: 1 })).resolves.toMatchObject({ status: 200 })
    expect(world.steps()).toEqual(['api 503', 'api 503', 'api 503', 'api 200'])
    expect(bearers()).toEqual(Array(4).fill(`Bearer ${world.liveAccessToken()}`))
    const bodies = world.requests('api').map(({ body }) => body.toString())
    expect(bodies).toEqual(Array(4).fill('{"a":1}'))
  })

  it('adds its attempts to ours and multiplies none [axios.decorated-once] [LP-14]', async () => {
    const { api } = await together(order, retrying)
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    // A 401 costs one more sending in the attempt it happens in, and no more.
    world.answer('api', async (_entry, honest) => honest(), { times: 1 })
    world.answer('api', { status: 503 }, { times: 1 })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.steps().filter((step) => step.startsWith('api'))).toEqual(['api 401', 'api 503', 'api 200'])
    expect(world.count('token')).toBe(1)
  })

  it('uses the then current token, and its first attempt is no replay [axios.decorated-once]', async () => {
    const { api } = await together(order, retrying)
    await api.get('')
    world.forget()
    world.answer(
      'api',
      () => {
        world.revokeAccessTokens()
        return { status: 503 }
      },
      { times: 1 },
    )
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.steps()).toEqual(['api 503', 'api 401', 'token 200', 'api 200'])
    expect(new Set(bearers()).size).toBe(2)
  })

  it('ends after its own attempts when the API keeps failing, and the error shows no token [LP-14] [axios.config-untouched]', async () => {
    const { api } = await together(order, retrying)
    world.answer('api', { status: 500 })
    const error: unknown = await api.get('').catch((caught: unknown) => caught)
    expect(error).toMatchObject({ response: { status: 500 } })
    expect(world.steps()).toEqual(Array(4).fill('api 500'))
    expect(world.leaksIn(error)).toEqual([])
  })

  it('does not repeat a failed sign-in unless it is told to [LP-14]', async () => {
    const api = axios.create({ baseURL: world.serverUrl, proxy: false })
    if (order === 'before') axiosRetry(api, { retries: 3, retryDelay: () => 0 })
    oauth(api, world.options())
    if (order === 'after') axiosRetry(api, { retries: 3, retryDelay: () => 0 })
    world.user.deny()
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    expect(world.user.visits).toHaveLength(1)
    expect(world.count('api')).toBe(1)
  })
})

describe('a config that is sent again by hand', () => {
  it('is decorated once however often it comes back [axios.decorated-once]', async () => {
    const { api } = await together('before', () => undefined)
    let { config } = await api.post('', 'text')
    for (let round = 0; round < 20; round += 1) {
      expect(config.adapter).toEqual(api.defaults.adapter)
      config = (await api.request(config)).config
    }
    expect(bearers()).toEqual(Array(21).fill(`Bearer ${world.liveAccessToken()}`))
  })

  it('out of an error is a request like any other [axios.decorated-once]', async () => {
    const { api } = await together('before', () => undefined)
    api.interceptors.response.use(undefined, (error: AxiosError) =>
      error.response?.status === 503 ? api.request(error.config ?? {}) : Promise.reject(error),
    )
    world.answer('api', { status: 503 }, { times: 2 })
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
    expect(world.steps()).toEqual(['api 503', 'api 503', 'api 200'])
  })
})

describe.each(orders)('axios-cache-interceptor installed %s the plugin', (order) => {
  it('answers from its cache, and what it lets through has the token [axios.adapters] [axios.decorated-once]', async () => {
    const { api } = await together(
      order,
      (instance) => void setupCache(instance, { ttl: 60_000, interpretHeader: false }),
    )
    const first = await api.get<Echo>('/x')
    const second = await api.get<Echo>('/x')
    await api.get('/y')
    expect(second.data).toEqual(first.data)
    expect(world.order()).toEqual(['rs GET /mcp/x', 'rs GET /mcp/y'])
    expect(bearers()).toEqual(Array(2).fill(`Bearer ${world.liveAccessToken()}`))
    expect(world.leaksIn([first, second])).toEqual([])
  })

  it('joins equal requests while a token is renewed for one [axios.adapters] [axios.decorated-once]', async () => {
    const { api } = await together(
      order,
      (instance) => void setupCache(instance, { ttl: 60_000, interpretHeader: false }),
    )
    await api.get('/warm')
    world.forget()
    world.revokeAccessTokens()
    const answers = await Promise.all([api.get('/x'), api.get('/x'), api.get('/x')])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
  })
})

describe.each(orders)('axios-mock-adapter installed %s the plugin', (order) => {
  it('sees every request, our own included, and nothing goes out [axios.adapters] [call.inherits-transport]', async () => {
    const api = axios.create({ baseURL: 'https://api.example.com/v1' })
    let mock: MockAdapter | undefined
    if (order === 'before') mock = new MockAdapter(api)
    const provider = oauth(api, {
      clientMetadata: { client_name: 'Spec', redirect_uris: ['http://127.0.0.1/callback'] },
      redirectHandler: () => undefined,
      callbackHandler: ({ state }) => Promise.resolve({ code: 'a-code', state, iss: 'https://as.example.com' }),
      allowPrivateAddresses: true,
    })
    mock ??= new MockAdapter(api)
    script(mock)
    await expect(api.get('/things')).resolves.toMatchObject({ status: 200, data: [1, 2] })
    expect(mock.history.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'get /things',
      'get https://api.example.com/.well-known/oauth-protected-resource/v1',
      'get https://as.example.com/.well-known/oauth-authorization-server',
      'post https://as.example.com/register',
      'post https://as.example.com/token',
      'get /things',
    ])
    expect(mock.history.at(-1)?.headers?.Authorization ?? undefined).toBeUndefined()
    await expect(provider.getAccessToken()).resolves.toBe('mock-token')
  })

  /** A whole service, JSON as objects, as suites write it. */
  function script(mock: MockAdapter): void {
    const as = 'https://as.example.com'
    mock
      .onGet('/things')
      .reply((config) =>
        config.headers?.Authorization === 'Bearer mock-token'
          ? [200, [1, 2]]
          : [401, '', { 'www-authenticate': 'Bearer' }],
      )
    mock.onGet('https://api.example.com/.well-known/oauth-protected-resource/v1').reply(200, {
      resource: 'https://api.example.com/v1',
      authorization_servers: [as],
    })
    mock.onGet(`${as}/.well-known/oauth-authorization-server`).reply(200, {
      issuer: as,
      authorization_endpoint: `${as}/authorize`,
      token_endpoint: `${as}/token`,
      registration_endpoint: `${as}/register`,
      code_challenge_methods_supported: ['S256'],
    })
    mock.onPost(`${as}/register`).reply(201, { client_id: 'mock-client' })
    mock.onPost(`${as}/token`).reply(200, { access_token: 'mock-token', token_type: 'Bearer' })
  }
})

describe('the adapter', () => {
  const http = axios.getAdapter('http')
  const own: AxiosAdapter = (config) => http(config)
  it.each<readonly [string, NonNullable<CreateAxiosDefaults['adapter']>]>([
    ['http', 'http'],
    ['fetch', 'fetch'],
    ['a list of names', ['xhr', 'fetch', 'http']],
    ['a function', own],
    ['a list with a function', [own]],
  ])('may be %s, for everything from the cold start on [axios.adapters]', async (_name, adapter) => {
    const { api } = world.connect({}, { adapter })
    await expect(api.post<Echo>('', { a: 1 })).resolves.toMatchObject({ status: 200, data: { method: 'POST' } })
    world.revokeAccessTokens()
    await api.post('', { a: 1 })
    expect(world.steps()).toEqual([
      ...['api 401', 'prm 200', 'as-metadata 200', 'register 201', 'authorize 302', 'token 200', 'api 200'],
      ...['api 401', 'token 200', 'api 200'],
    ])
  })

  it('may be replaced on the instance or in one request at any time [axios.adapters] [attach.at-adapter]', async () => {
    const { api } = await together('before', () => undefined)
    const used: string[] = []
    const named =
      (name: string): AxiosAdapter =>
      (config) => {
        used.push(`${name} ${config.headers.get('Authorization') === `Bearer ${world.liveAccessToken()}`}`)
        return http(config)
      }
    api.defaults.adapter = named('instance')
    await api.get('')
    await api.get('', { adapter: named('request') })
    api.interceptors.request.use((config) => ({ ...config, adapter: named('interceptor') }))
    await api.get('')
    expect(used).toEqual(['instance true', 'request true', 'interceptor true'])
  })

  it('that throws at once, or is unknown, rejects the request alone [axios.adapters]', async () => {
    const { api } = await together('before', () => undefined)
    const throwing = (): never => {
      throw new Error('adapter')
    }
    await expect(api.get('', { adapter: throwing })).rejects.toThrow('adapter')
    await expect(api.get('', { adapter: 'carrier-pigeon' as never })).rejects.toThrow('carrier-pigeon')
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe('one provider on many instances', () => {
  async function attached(): Promise<{ provider: OAuthClientProvider; one: AxiosInstance; two: AxiosInstance }> {
    const { api: one, provider } = await together('before', () => undefined)
    const two = provider.attach(axios.create({ baseURL: `${world.serverUrl}/two`, proxy: false }))
    return { provider, one, two }
  }

  it('shares tokens and flights [axios.many-instances]', async () => {
    const { one, two } = await attached()
    world.expireTokens()
    await Promise.all([one.get('/a'), two.get('/b'), one.get('/c'), two.get('/d')])
    expect(world.count('token')).toBe(1)
    expect(new Set(bearers())).toEqual(new Set([`Bearer ${world.liveAccessToken()}`]))
  })

  it('is attached to each once, and taken from one without touching the other [axios.many-instances]', async () => {
    const { provider, one, two } = await attached()
    expect(provider.attach(one)).toBe(one)
    provider.attach(one)
    await one.get('')
    expect(world.order()).toEqual(['rs GET /mcp'])
    provider.detach(one)
    provider.detach(one)
    await expect(one.get('', { validateStatus: null })).resolves.toMatchObject({ status: 401 })
    await expect(two.get('')).resolves.toMatchObject({ status: 200 })
    provider.detach()
    await expect(two.get('', { validateStatus: null })).resolves.toMatchObject({ status: 401 })
    for (const { interceptors } of [one, two]) {
      const left: unknown[] = []
      for (const manager of [interceptors.request, interceptors.response]) {
        ;(manager as unknown as { forEach(visit: (handler: unknown) => void): void }).forEach((handler) =>
          left.push(handler),
        )
      }
      expect(left).toEqual([])
    }
  })

  it('serves an instance again after it was taken away [axios.many-instances]', async () => {
    const { provider, one } = await attached()
    provider.detach()
    provider.attach(one)
    await expect(one.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.count('token')).toBe(0)
  })

  it('leaves requests to two resources of one instance to the provider of each [axios.many-instances] [resource.own-token]', async () => {
    const other = await startWorld()
    try {
      const api = axios.create({ proxy: false })
      oauth(api, world.options())
      oauth(api, other.options())
      await api.get(`${world.serverUrl}/x`)
      await api.get(`${other.serverUrl}/x`)
      expect([world.count('token'), other.count('token')]).toEqual([1, 1])
      expect(world.leaksIn(other.journal)).toEqual([])
      expect(other.leaksIn(world.journal)).toEqual([])
    } finally {
      await other.stop()
    }
  })
})

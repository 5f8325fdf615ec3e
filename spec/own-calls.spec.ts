import { Agent } from 'node:http'
import { gzipSync } from 'node:zlib'
import axios, { type AxiosAdapter, type InternalAxiosRequestConfig } from 'axios'
import { clientCredentials, oauth } from 'axios-oauth2'
import { startWorld, type Connection, type Endpoint, type Entry, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

const ownEndpoints = ['prm', 'as-metadata', 'register', 'token'] as const
const ownRequests = (): Entry[] => ownEndpoints.flatMap((endpoint) => world.requests(endpoint))

describe('requests of our own', () => {
  it('carry nothing of the instance’s and axios’s defaults [call.bare-instance] [RQ-12]', async () => {
    const common = axios.defaults.headers.common
    const globalParams: unknown = axios.defaults.params
    try {
      common.Authorization = 'Bearer GLOBAL-0123456789'
      common['X-Global'] = 'global'
      axios.defaults.params = { api_key: 'global-key' }
      const { api } = world.connect(
        {},
        {
          headers: { 'X-Tenant': 'acme', Cookie: 'sid=1', authorization: undefined },
          params: { tenant: 'acme' },
          paramsSerializer: () => 'serialised=1',
          auth: {} as never,
          withCredentials: true,
          xsrfCookieName: 'XSRF',
          maxRedirects: 5,
          timeout: 1,
        },
      )
      delete api.defaults.headers.common.Authorization
      api.defaults.timeout = 0
      await api.post('', 'text', { headers: { 'Mcp-Session-Id': 'session' } })
    } finally {
      delete common.Authorization
      delete common['X-Global']
      axios.defaults.params = globalParams
    }
    expect(ownRequests()).toHaveLength(4)
    for (const { url, headers } of ownRequests()) {
      expect(url).not.toContain('?')
      const allowed = /^(accept|accept-encoding|connection|content-length|content-type|host|user-agent)$/
      expect(Object.keys(headers).filter((name) => !allowed.test(name))).toEqual([])
    }
    expect(world.requests('api').at(-1)?.headers).toMatchObject({ 'x-tenant': 'acme', 'x-global': 'global' })
  })

  it('pass no interceptor of the application, on the instance or globally [call.bare-instance] [RQ-13]', async () => {
    const seen: string[] = []
    const note = (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
      seen.push(axios.getUri(config))
      return config
    }
    const handles = [
      axios.interceptors.request.use(note),
      axios.interceptors.response.use((response) => {
        note(response.config)
        return response
      }),
    ] as const
    try {
      const { api } = world.connect()
      api.interceptors.request.use(note)
      api.interceptors.response.use((response) => {
        note(response.config)
        return response
      })
      await api.get('')
    } finally {
      axios.interceptors.request.eject(handles[0])
      axios.interceptors.response.eject(handles[1])
    }
    expect(seen).toEqual([world.serverUrl, world.serverUrl])
  })

  it('do not trigger themselves when their own endpoints answer 401 [call.bare-instance]', async () => {
    world.answer('token', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' }, body: { error: 'invalid_client' } })
    await expect(world.connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR' })
    expect(world.count('api')).toBe(1)
  })

  it('take adapter, agents and proxy of the instance as they are at the time of the call [call.inherits-transport]', async () => {
    const used: InternalAxiosRequestConfig[] = []
    const http = axios.getAdapter('http')
    const watching: AxiosAdapter = (config) => {
      used.push(config)
      return http(config)
    }
    const api = axios.create({ baseURL: world.serverUrl })
    oauth(api, world.options())
    const [httpAgent, httpsAgent] = [new Agent({ keepAlive: true }), new Agent()]
    Object.assign(api.defaults, { adapter: watching, httpAgent, httpsAgent, proxy: false })
    await api.get('')
    const own = used.filter(({ url }) => url !== '')
    expect(own).toHaveLength(4)
    for (const config of own) {
      expect([config.httpAgent, config.httpsAgent, config.proxy]).toEqual([httpAgent, httpsAgent, false])
    }
    httpAgent.destroy()
  })

  it('go through the proxy of the instance [call.inherits-transport]', async () => {
    const proxied: string[] = []
    world.answer('other', ({ method, url }) => {
      proxied.push(`${method} ${url}`)
      return { body: { access_token: 'a-token', token_type: 'Bearer' } }
    })
    const { hostname, port } = new URL(world.origin.evil)
    const issuer = 'http://localhost:1/as'
    const api = axios.create({
      baseURL: world.serverUrl,
      proxy: { host: hostname, port: Number(port), protocol: 'http' },
    })
    const provider = oauth(api, {
      grant: clientCredentials(),
      clientInformation: { client_id: 'c', client_secret: 's' },
      authorizationServerMetadata: { issuer, token_endpoint: `${issuer}/token-endpoint` },
    })
    await expect(provider.getAccessToken()).resolves.toBe('a-token')
    expect(proxied).toEqual([`POST ${issuer}/token-endpoint`])
  })

  it('do not mind how the instance reads its answers [call.own-json]', async () => {
    const { api } = world.connect(
      {},
      {
        responseType: 'arraybuffer',
        transformResponse: [
          () => {
            throw new Error('mine')
          },
        ],
        transformRequest: [() => 'mine'],
        validateStatus: () => false,
        maxContentLength: 1_000,
      },
    )
    world.answer('api', { body: 'fine' }, { when: ({ headers }) => headers.authorization !== undefined })
    await expect(
      api.get('', { transformResponse: [], validateStatus: null, responseType: 'text' }),
    ).resolves.toMatchObject({ data: 'fine' })
    expect(world.steps()).toEqual([
      'api 401',
      'prm 200',
      'as-metadata 200',
      'register 201',
      'authorize 302',
      'token 200',
      'api 200',
    ])
  })

  it('read an answer whatever its type says, compressed or not [call.own-json]', async () => {
    world.answer('token', async (_entry, honest) => {
      const { body } = await honest()
      const headers = { 'Content-Type': 'text/html', 'Content-Encoding': 'gzip' }
      return { headers, body: gzipSync(JSON.stringify(body)) }
    })
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe.each(['http', 'fetch'] as const)('over the %s adapter, requests of our own', (adapter) => {
  const connect = (o = {}): Connection => world.connect(o, { adapter })

  it.each<readonly [Endpoint, number]>([
    ['prm', 302],
    ['prm', 307],
    ['as-metadata', 301],
    ['register', 307],
    ['token', 308],
    ['token', 303],
  ])(
    'follow no redirect of %s at status %i, which is no absence either [call.no-redirects] [RQ-20]',
    async (endpoint, status) => {
      world.answer(endpoint, { status, headers: { Location: `${world.origin.evil}/x` } })
      await expect(connect().api.get('')).rejects.toMatchObject({
        code: 'OAUTH_REDIRECT_REFUSED',
        message: expect.stringContaining(new URL(world.origin.evil).host) as string,
        status,
      })
      expect(world.count(endpoint)).toBe(1)
      expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
    },
  )

  it.each<Endpoint>(['prm', 'as-metadata', 'register', 'token'])(
    'read at most 512 KB of %s, counted after decompression [call.limits]',
    async (endpoint) => {
      const huge = gzipSync(Buffer.alloc(3_000_000, ' '))
      world.answer(endpoint, {
        headers: { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' },
        body: huge,
      })
      await expect(connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_RESPONSE_TOO_LARGE', retryable: false })
      expect(world.count(endpoint)).toBe(1)
    },
  )

  it('accept what is below the limit [call.limits]', async () => {
    world.answer('prm', async (_entry, honest) => {
      const { body } = await honest()
      return { body: { ...(body as object), padding: ' '.repeat(500_000) } }
    })
    await expect(connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each<readonly [Endpoint, 'hang' | 'drip']>([
    ['prm', 'hang'],
    ['prm', 'drip'],
    ['as-metadata', 'drip'],
    ['register', 'hang'],
  ])('give up %s after one deadline over headers and body, when it is %s [call.limits]', async (endpoint, outcome) => {
    world.answer(endpoint, outcome)
    const startedAt = performance.now()
    await expect(connect({ requestTimeout: 150 }).api.get('')).rejects.toMatchObject({
      code: 'OAUTH_TIMEOUT',
      retryable: true,
    })
    expect(performance.now() - startedAt).toBeLessThan(650)
    expect(world.count(endpoint)).toBe(1)
  })
})

describe('an adapter that follows redirects by itself', () => {
  it('is found out by the final URL of its request [call.no-redirects] [RQ-20]', async () => {
    const http = axios.getAdapter('http')
    const silently: AxiosAdapter = async (config) => {
      const response = await http(config)
      if (!axios.getUri(config).includes('well-known')) return response
      return { ...response, request: { responseURL: `${world.origin.evil}/x` } }
    }
    const { api } = world.connect({}, { adapter: silently })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_REDIRECT_REFUSED' })
    expect(world.count('register')).toBe(0)
  })
})

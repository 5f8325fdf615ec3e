import axios, { AxiosHeaders, type AxiosAdapter, type AxiosRequestConfig, type AxiosResponse } from 'axios'
import fc from 'fast-check'
import { clientCredentials, oauth, OAuthClientProvider } from 'axios-oauth2'
import {
  pathOf,
  startWorld,
  type Connection,
  type ConnectOptions,
  type Echo,
  type Entry,
  type World,
} from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

/** A provider with a session, and a journal that begins after it. */
async function signedIn(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.provider.authorize()
  world.forget()
  return connection
}

/** Where requests arrived, and what they carried: our token, credentials of the URL, or nothing. */
function arrivals(): string[] {
  const carried = (authorization = ''): string =>
    authorization === '' ? 'bare' : authorization.startsWith('Bearer ') ? 'token' : 'basic'
  return world.journal.map(({ server, url, headers }) => `${server} ${url} ${carried(headers.authorization)}`)
}

describe('a request to the resource', () => {
  it('carries the token in the Authorization header and nowhere else, at every path and method [attach.every-request] [RQ-17]', async () => {
    const { api } = await signedIn()
    const token = world.liveAccessToken()
    await api.get('')
    await api.get('/a/b?x=1')
    await api.post('sub', { some: 'json' })
    await api.delete('/sub', { params: { access_token: 'mine' } })
    const urls = world.requests('api').map(({ method, url, headers }) => [method, url, headers.authorization])
    expect(urls).toEqual([
      ['GET', '/mcp', `Bearer ${token}`],
      ['GET', '/mcp/a/b?x=1', `Bearer ${token}`],
      ['POST', '/mcp/sub', `Bearer ${token}`],
      ['DELETE', '/mcp/sub?access_token=mine', `Bearer ${token}`],
    ])
    for (const { url, body } of world.journal) expect(url + body.toString()).not.toContain(token)
  })

  it('is left alone with `oauth: false`, and so is its 401 [attach.opt-out]', async () => {
    const { api } = await signedIn()
    await expect(api.get('', { oauth: false })).rejects.toMatchObject({ status: 401, code: 'ERR_BAD_REQUEST' })
    expect(arrivals()).toEqual(['rs /mcp bare'])
  })

  it('is sent as it is while there is no token, and discovery starts from its 401 [attach.no-token-yet]', async () => {
    const { api } = world.connect()
    await api.post('', { a: 1 })
    expect(world.steps().slice(0, 2)).toEqual(['api 401', 'prm 200'])
    const [first, second] = world.requests('api')
    expect(first?.headers.authorization).toBeUndefined()
    expect(second?.body).toEqual(first?.body)
  })

  it('costs nothing but itself where no login is needed [attach.no-token-yet] [replay.once]', async () => {
    world.answer('api', { body: { open: true } })
    await expect(world.connect().api.get('')).resolves.toMatchObject({ data: { open: true } })
    expect(world.order()).toEqual(['rs GET /mcp'])
  })

  it('gets the token of the provider that its config names [attach.every-request]', async () => {
    const { api } = await signedIn()
    const other = world.connect({ partition: 'other' })
    await other.provider.authorize()
    world.forget()
    await api.get('', { oauth: { provider: other.provider } })
    expect(world.requests('api')[0]?.headers.authorization).toBe(`Bearer ${await other.provider.getAccessToken()}`)
  })

  it('cannot have a server URL with http beyond loopback [attach.https-only] [RQ-18]', () => {
    for (const serverUrl of ['http://api.example.com', 'http://127.0.0.1.example.com', 'http://192.168.0.1/mcp']) {
      expect(() => new OAuthClientProvider(world.options({ serverUrl }))).toThrow(TypeError)
      expect(() => oauth(axios.create({ baseURL: serverUrl }), { grant: clientCredentials() })).toThrow('serverUrl')
    }
  })
})

describe('the final URL', () => {
  type Case = readonly [name: string, config: (world: World) => AxiosRequestConfig, arrived: (world: World) => string[]]
  const bareAt = (path: string) => (): string[] => [`rs ${path} bare`]
  const tokenAt = (path: string) => (): string[] => [`rs ${path} token`]
  const nowhere = (): string[] => []
  const strange = (url: string) => (): AxiosRequestConfig => ({ url })

  const cases: readonly Case[] = [
    ['an absolute URL of a stranger [RQ-05]', (w) => ({ url: `${w.origin.evil}/x` }), () => ['evil /x bare']],
    ['an absolute URL of the resource', (w) => ({ url: `${w.serverUrl}/x` }), tokenAt('/mcp/x')],
    [
      'an absolute URL held to the base',
      (w) => ({ url: w.origin.evil, allowAbsoluteUrls: false }),
      (w) => [`rs /mcp/${w.origin.evil} token`],
    ],
    ['another base URL', (w) => ({ url: '/x', baseURL: w.origin.evil }), () => ['evil /x bare']],
    ['the authorization server', (w) => ({ url: `${w.origin.as}/x` }), () => ['as /x bare']],
    ['another path of the origin', (w) => ({ url: `${w.origin.rs}/other` }), bareAt('/other')],
    ['a path that begins like the resource', (w) => ({ url: `${w.serverUrl}2/x` }), bareAt('/mcp2/x')],
    ['a path in another case', (w) => ({ url: `${w.origin.rs}/MCP/x` }), bareAt('/MCP/x')],
    ['dots that lead out [RQ-07]', strange('/../x'), bareAt('/x')],
    ['encoded dots that lead out [RQ-07]', strange('/%2e%2e/x'), bareAt('/x')],
    ['half encoded dots that lead out [RQ-07]', strange('/a/.%2E/..\\x'), bareAt('/x')],
    ['dots that stay within', strange('/a/../x'), tokenAt('/mcp/x')],
    ['dots that come back', strange('/../mcp/x'), tokenAt('/mcp/x')],
    ['an encoded slash', strange('/..%2fx'), tokenAt('/mcp/..%2fx')],
    [
      'a tab before the scheme [RQ-08]',
      (w) => ({ url: `\t${w.origin.evil}/x` }),
      (w) => [`rs /mcp/${w.origin.evil}/x token`],
    ],
    [
      'a line break in the scheme [RQ-08]',
      (w) => ({ url: w.origin.evil.replace('tt', 't\nt') }),
      (w) => [`rs /mcp/${w.origin.evil} token`],
    ],
    ['a stranger without scheme [RQ-08]', strange('//evil.example/x'), nowhere],
    ['backslashes [RQ-08]', strange('\\\\evil.example\\x'), tokenAt('/mcp///evil.example/x')],
    ['slash and backslash [RQ-08]', strange('/\\evil.example/x'), tokenAt('/mcp//evil.example/x')],
    ['a scheme in capitals [RQ-08]', (w) => ({ url: w.origin.evil.toUpperCase() }), () => ['evil / bare']],
    [
      'the host as user name of a stranger [RQ-06]',
      (w) => ({ url: w.origin.evil.replace('//', `//${new URL(w.serverUrl).host}@`) }),
      () => ['evil / basic'],
    ],
  ]

  it.each(cases)('decides about %s [attach.only-resource]', async (_name, config, arrived) => {
    const { api } = await signedIn()
    const token = world.liveAccessToken()
    await api.request({ validateStatus: null, ...config(world) }).catch(() => undefined)
    expect(arrivals()).toEqual(arrived(world))
    for (const { server, headers } of world.journal) {
      if (server !== 'rs') expect(headers.authorization ?? '').not.toContain(token)
    }
  })

  it('may lie at an entry of `origins`, by whole path segments [attach.only-resource]', async () => {
    const { api } = await signedIn({ origins: [`${world.origin.as}/files`] })
    for (const path of ['/files/x', '/files', '/files2', '/'])
      await api.get(`${world.origin.as}${path}`, { validateStatus: null })
    expect(arrivals()).toEqual(['as /files/x token', 'as /files token', 'as /files2 bare', 'as / bare'])
  })

  it('is judged as axios spells it, whatever it is made of [attach.only-resource] [RQ-05] [RQ-06] [RQ-07] [RQ-08]', async () => {
    const { api, sent } = fakeService('https://api.example.com/v1')
    await api.get('')
    const piece = fc.constantFrom(
      ...[
        '/',
        '//',
        '\\',
        '..',
        '%2e',
        '%2f',
        '.',
        '\t',
        '\n',
        ' ',
        '@',
        ':',
        ':444',
        '?',
        '#',
        'v1',
        'V1',
        'v11',
        'x',
      ],
      ...[
        'https://',
        'http://',
        'HTTPS://',
        'https:',
        'api.example.com',
        'API.example.com',
        'api.example.com.',
        'evil.example',
        'u:p@',
      ],
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 7 }),
        fc.constantFrom<AxiosRequestConfig>(
          {},
          { allowAbsoluteUrls: false },
          { baseURL: 'https://api.example.com/v1/sub/' },
          { baseURL: 'https://api.example.com' },
          { baseURL: 'https://api.example.com.evil.example/v1' },
          { baseURL: '' },
        ),
        async (pieces, config) => {
          sent.length = 0
          await api.get(pieces.join(''), config).catch(() => undefined)
          for (const { url, authorization } of sent) {
            expect([url, authorization]).toEqual([url, isWithin(url) ? 'Bearer fake-token' : undefined])
          }
        },
      ),
      { numRuns: 600 },
    )
  })

  it.each<readonly [string, string, AxiosRequestConfig | undefined]>([
    ['https://api.example.com@evil.example/v1', 'bare', undefined],
    ['https://api.example.com.evil.example/v1', 'bare', undefined],
    ['https://api.example.com:444/v1', 'bare', undefined],
    ['http://api.example.com/v1', 'bare', undefined],
    ['https://api.example.com:443/v1', 'token', undefined],
    ['HTTPS://API.EXAMPLE.COM/v1', 'token', undefined],
  ])('decides about %s: %s [attach.only-resource] [RQ-06]', async (url, expected) => {
    const { api, sent } = fakeService('https://api.example.com/v1')
    await api.get('')
    sent.length = 0
    await api.get(url)
    expect(sent.map(({ authorization }) => (authorization === undefined ? 'bare' : 'token'))).toEqual([expected])
  })
})

describe('an interceptor', () => {
  const moves: readonly (readonly [string, (w: World) => Partial<AxiosRequestConfig>])[] = [
    ['url', (w) => ({ url: `${w.origin.evil}/x` })],
    ['baseURL', (w) => ({ baseURL: w.origin.evil, url: '/x' })],
  ]
  it.each(moves)(
    'registered before or after the plugin moves the %s to a stranger without the token [attach.at-adapter] [RQ-09]',
    async (_name, move) => {
      const api = axios.create({ baseURL: world.serverUrl, proxy: false })
      let moving: Partial<AxiosRequestConfig> = {}
      api.interceptors.request.use((config) => Object.assign(config, moving))
      const provider = oauth(api, world.options())
      api.interceptors.request.use((config) => Object.assign(config, moving))
      await provider.authorize()
      world.forget()
      moving = move(world)
      await api.get('/y')
      expect(arrivals()).toEqual(['evil /x bare'])
      expect(world.leaksIn(world.journal)).toEqual([])
    },
  )

  it('moves a request into the resource, where it gets the token, and the URL stays as written [attach.at-adapter]', async () => {
    const api = axios.create({ proxy: false })
    api.interceptors.request.use((config) => Object.assign(config, { baseURL: world.origin.rs, url: '/mcp/./x?a=b c' }))
    oauth(api, world.options())
    const { data, config } = await api.get<Echo>('/y')
    expect(data.url).toBe('/mcp/x?a=b%20c')
    expect(config.url).toBe('/mcp/./x?a=b c')
  })
})

describe('the own Authorization of a caller', () => {
  const spellings: readonly (readonly [string, AxiosRequestConfig])[] = [
    ['Authorization', { headers: { Authorization: 'Token mine' } }],
    ['authorization', { headers: { authorization: 'Token mine' } }],
    ['AUTHORIZATION', { headers: { AUTHORIZATION: 'Token mine' } }],
    ['AxiosHeaders', { headers: new AxiosHeaders({ authorization: 'Token mine' }) }],
    ['auth', { auth: { username: 'me', password: '' } }],
    ['auth without a name', { auth: { username: '', password: 'word' } }],
  ]
  it.each(spellings)(
    'wins as %s, is sent once and its 401 is the caller’s [attach.caller-wins] [RQ-10]',
    async (_name, config) => {
      const { api } = await signedIn()
      await expect(api.get('', config)).rejects.toMatchObject({ status: 401, isAxiosError: true })
      expect(world.steps()).toEqual(['api 401'])
      const { authorization } = (world.journal[0] as Entry).headers
      expect(authorization).toMatch(/^(Token mine|Basic \S+)$/)
    },
  )

  it('wins as default of the instance [attach.caller-wins] [RQ-10]', async () => {
    const { api } = await signedIn({}, { headers: { authorization: 'Token default' } })
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.requests('api').map(({ headers }) => headers.authorization)).toEqual(['Token default'])
  })

  const empty: readonly (readonly [string, AxiosRequestConfig])[] = [
    ['auth: {}', { auth: {} as never }],
    ['auth with empty members', { auth: { username: '', password: '' } }],
    ['an undefined header', { headers: { authorization: undefined } }],
    ['a null header', { headers: { authorization: null } }],
    ['a header set to false', { headers: { AUTHORIZATION: false } }],
    ['an empty header', { headers: { authorization: '' } }],
  ]
  it.each(empty)(
    'is none with %s: the token is sent, once, and no config shows it [attach.caller-wins] [RQ-10] [axios.config-untouched]',
    async (_name, config) => {
      const { api } = await signedIn()
      const response = await api.get('', config)
      expect(world.requests('api').map(({ headers }) => headers.authorization)).toEqual([
        `Bearer ${world.liveAccessToken()}`,
      ])
      expect(world.leaksIn(response)).toEqual([])
      world.revokeAccessTokens()
      await api.get('', config)
      expect(world.count('token')).toBe(1)
      expect(world.requests('api').at(-1)?.headers.authorization).toBe(`Bearer ${world.liveAccessToken()}`)
    },
  )

  it('as userinfo in the URL is a conflict, and nothing is sent [attach.caller-wins] [RQ-11]', async () => {
    const { api } = await signedIn()
    const url = world.serverUrl.replace('//', '//u:pass-word@')
    const error: unknown = await api.get(url).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'OAUTH_CONFLICT', endpoint: world.serverUrl })
    expect(JSON.stringify(error)).not.toContain('pass-word')
    expect(world.journal).toEqual([])
    expect(() => new OAuthClientProvider(world.options({ serverUrl: url }))).toThrow(TypeError)
  })
})

/** A service with https that exists in an adapter only: what the adapter is handed is what would be sent. */
function fakeService(serverUrl: string): {
  api: ReturnType<typeof axios.create>
  sent: { url: string; authorization: unknown }[]
} {
  const sent: { url: string; authorization: unknown }[] = []
  const issuer = 'https://as.example.com'
  const adapter: AxiosAdapter = (config) => {
    const url = axios.getUri(config)
    if (!URL.canParse(url)) return Promise.reject(new Error('no URL'))
    const isToken = url === `${issuer}/token`
    if (!isToken) sent.push({ url: new URL(url).href, authorization: config.headers.get('Authorization') ?? undefined })
    const refused = serverUrl === url && config.headers.get('Authorization') === undefined
    const data = isToken ? { access_token: 'fake-token', token_type: 'Bearer' } : {}
    const response: AxiosResponse = { data, status: 200, statusText: '', headers: {}, config }
    if (!refused) return Promise.resolve(response)
    return Promise.reject(
      new axios.AxiosError('refused', 'ERR_BAD_REQUEST', config, null, { ...response, status: 401 }),
    )
  }
  const api = axios.create({ baseURL: serverUrl, adapter })
  oauth(api, {
    grant: clientCredentials(),
    clientInformation: { client_id: 'c', client_secret: 's' },
    authorizationServerMetadata: { issuer, token_endpoint: `${issuer}/token` },
  })
  return { api, sent }
}

function isWithin(href: string): boolean {
  const { origin, username, password } = new URL(href)
  const path = pathOf({ url: new URL(href).pathname })
  return (
    origin === 'https://api.example.com' && username + password === '' && (path === '/v1' || path.startsWith('/v1/'))
  )
}

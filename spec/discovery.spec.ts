import { MemoryTokenStorage } from 'axios-oauth2'
import { startWorld, withMembers, type Answering, type Entry, type World, type WorldOptions } from './support/world'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

const wellKnown = '/.well-known/oauth-protected-resource'
const signIn = ['as-metadata 200', 'register 201', 'authorize 302', 'token 200', 'api 200']

/** The next refusal has no `resource_metadata`. */
function bareChallenge(): void {
  world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } }, { times: 1 })
}

function announce(location: string): void {
  const headers = { 'WWW-Authenticate': `Bearer resource_metadata="${location}"` }
  world.answer('api', { status: 401, headers }, { times: 1 })
}

/** What the resource's metadata says honestly. */
function document(): Record<string, unknown> {
  return { resource: world.serverUrl, authorization_servers: [world.issuer] }
}

/** Only this location has the document. */
function publishAt(location: string): void {
  const elsewhere: Answering = ({ url }) => (url === location ? { body: document() } : { status: 404 })
  world.answer('prm', elsewhere)
  world.answer('other', elsewhere)
}

function locations(): string[] {
  return world.requests('prm').map(({ url }) => url)
}

async function code(request: Promise<unknown>): Promise<unknown> {
  return request.then(
    () => 'success',
    (error: { code?: unknown }) => error.code,
  )
}

/** Nobody was told anything but the discovery's own GETs. */
function expectOnlyReading(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

describe('where the resource metadata is asked for', () => {
  it('is the announced location, and with a document there no other [prm.header-first]', async () => {
    await start()
    publishAt('/custom/prm')
    announce(`${world.origin.rs}/custom/prm`)
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'other 200', ...signIn])
  })

  it('are the well-known locations when the announced one is absent [prm.path-then-root]', async () => {
    await start()
    announce(`${world.origin.rs}/gone`)
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'other 404', 'prm 200', ...signIn])
  })

  it.each<[string, string, readonly string[]]>([
    ['a path', '/api/mcp', [`${wellKnown}/api/mcp`, wellKnown]],
    ['a path and a slash', '/mcp/', [`${wellKnown}/mcp/`, `${wellKnown}/mcp`, wellKnown]],
    ['no path', '', [wellKnown]],
    ['a query', '/mcp?tenant=1', [`${wellKnown}/mcp?tenant=1`, wellKnown]],
    ['a slash and a query', '/mcp/?tenant=1', [`${wellKnown}/mcp/?tenant=1`, `${wellKnown}/mcp?tenant=1`, wellKnown]],
    ['slashes in a row', '/a//b//', [`${wellKnown}/a/b/`, `${wellKnown}/a/b`, wellKnown]],
  ])(
    'are the well-known ones of a server URL with %s, in order [prm.path-then-root prm.trailing-slash prm.query-kept PR-14]',
    async (_name, path, expected) => {
      await start({ path })
      bareChallenge()
      world.answer('prm', { status: 404 })
      expect(await code(world.connect({ legacy: 'off' }).api.get(''))).toBe('OAUTH_DISCOVERY_FAILED')
      expect(locations()).toEqual(expected)
    },
  )

  it('leaves the fragment of the server URL out [prm.query-kept]', async () => {
    await start({ path: '/mcp?tenant=1' })
    bareChallenge()
    await world.connect({ serverUrl: `${world.serverUrl}#part` }).api.get('')
    expect(locations()).toEqual([`${wellKnown}/mcp?tenant=1`])
  })

  it.each<[string, WorldOptions, string]>([
    ['path and OAuth document', {}, `${wellKnown}/mcp`],
    ['path and OpenID document', { issuerPath: '/tenant' }, `${wellKnown}/mcp`],
    ['root and OAuth document of a path', { issuerPath: '/tenant' }, wellKnown],
    ['custom and OpenID document of a path', { issuerPath: '/tenant' }, '/custom/metadata/location.json'],
  ])('may be any published combination: %s [prm.location-independent]', async (name, o, location) => {
    await start(o)
    publishAt(location)
    if (name.includes('OpenID')) world.answer('as-metadata', { status: 404 })
    if (location.startsWith('/custom')) announce(world.origin.rs + location)
    else bareChallenge()
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('may be on another origin, which is asked bare [prm.header-other-origin WA-18]', async () => {
    await start()
    world.answer('prm', { body: document() }, { when: ({ server }) => server === 'evil' })
    announce(`${world.origin.evil}${wellKnown}/mcp`)
    const headers = { Cookie: 'session=1', 'X-Api-Key': 'caller', 'MCP-Protocol-Version': '2025-11-25' }
    await world.connect({}, { headers, params: { key: 'caller' } }).api.get('')
    const asked = world.journal.filter(({ server }) => server === 'evil')
    expect(asked).toHaveLength(1)
    expect(asked[0]).toMatchObject({ method: 'GET', url: `${wellKnown}/mcp` })
    expect(Object.keys(asked[0]?.headers ?? {}).sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'mcp-protocol-version',
      'user-agent',
    ])
    expect(world.leaksIn(asked)).toEqual([])
  })

  it('is told who asks: Accept, and the MCP version of the request that caused it [prm.discovery-headers]', async () => {
    await start()
    const sent = ({ headers }: Entry): unknown => [headers.accept, headers['mcp-protocol-version']]
    const asked = (): unknown[] => [...world.requests('prm'), ...world.requests('as-metadata')].map(sent)
    await world.connect().api.get('', { headers: { 'mcp-protocol-version': '2025-06-18' } })
    expect(asked()).toEqual(Array(2).fill(['application/json', '2025-06-18']))
    world.forget()
    await world.connect().api.get('')
    expect(asked()).toEqual(Array(2).fill(['application/json', undefined]))
  })
})

describe('an answer that is no document', () => {
  beforeEach(() => start())

  it.each([400, 401, 402, 403, 404, 405, 406, 409, 410, 418, 422, 451, 499])(
    'and says so leads to the next candidate: %i [prm.next-on-4xx]',
    async (status) => {
      bareChallenge()
      world.answer('prm', { status }, { times: 1 })
      world.answer('prm', { body: document() })
      await world.connect().api.get('')
      expect(world.steps()).toEqual(['api 401', `prm ${status}`, 'prm 200', ...signIn])
    },
  )

  it.each<[string, string]>([
    ['nothing', ''],
    ['a page', '<!doctype html><title>Sign in</title>'],
    ['an array', '[{"resource":"x"}]'],
    ['null', 'null'],
    ['a string', '"resource"'],
    ['a number', '42'],
    ['an object cut short', '{"resource":"http'],
  ])('counts as absent: 200 with %s [prm.next-on-not-json PR-36 PR-41 PR-42]', async (_name, body) => {
    bareChallenge()
    world.answer('prm', { body }, { times: 1 })
    world.answer('prm', { body: document() })
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 200', 'prm 200', ...signIn])
  })

  it.each([408, 425, 429, 500, 502, 503, 504])(
    'proves nothing and ends discovery: %i [prm.stop-on-5xx legacy.never-after-failure PR-44]',
    async (status) => {
      bareChallenge()
      world.answer('prm', { status, headers: { 'Retry-After': '7' } })
      const error: unknown = await world
        .connect()
        .api.get('')
        .catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        name: 'OAuthDiscoveryError',
        code: 'OAUTH_TEMPORARY',
        phase: 'discovery',
        retryable: true,
        status,
        retryAfter: 7000,
      })
      expect(world.steps()).toEqual(['api 401', `prm ${status}`])
    },
  )

  it.each(['reset', 'truncate'] as const)(
    'proves nothing and ends discovery: %s [prm.stop-on-5xx legacy.never-after-failure PR-46]',
    async (answering) => {
      world.answer('prm', answering)
      await expect(world.connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
      expect(world.count('prm')).toBe(1)
      expectOnlyReading()
    },
  )

  it.each(['hang', 'drip'] as const)(
    'ends discovery at the deadline: %s [prm.stop-on-5xx legacy.never-after-failure PR-30 PR-31]',
    async (answering) => {
      world.answer('prm', answering)
      const error: unknown = await world
        .connect({ requestTimeout: 80 })
        .api.get('')
        .catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_TIMEOUT', retryable: true })
      expect(world.count('prm')).toBe(1)
      expectOnlyReading()
    },
  )

  it('is no reason to fail for good: the next request discovers anew [prm.stop-on-5xx]', async () => {
    world.answer('prm', { status: 503 }, { times: 1 })
    const { api } = world.connect()
    expect(await code(api.get(''))).toBe('OAUTH_TEMPORARY')
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe('an object that is no resource metadata', () => {
  beforeEach(async () => {
    await start()
    bareChallenge()
  })

  it('leads to the next candidate [prm.invalid-object]', async () => {
    world.answer('prm', { body: { status: 'ok' } }, { times: 1 })
    world.answer('prm', { body: document() })
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 200', 'prm 200', ...signIn])
  })

  it.each<[string, unknown]>([
    ['no resource', undefined],
    ['null', null],
    ['a number', 42],
    ['a list', ['http://127.0.0.1/mcp']],
    ['an object', {}],
    ['an empty text', ''],
  ])(
    'is not the absence of one: resource is %s [prm.invalid-object legacy.never-after-failure PR-11 PR-12]',
    async (_name, resource) => {
      world.answer('prm', withMembers({ resource }), { times: 1 })
      const error: unknown = await world
        .connect()
        .api.get('')
        .catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_METADATA_INVALID', retryable: false })
      expect((error as Error).message).toContain('`resource`')
      expect(locations()).toEqual([`${wellKnown}/mcp`, wellKnown])
      expectOnlyReading()
    },
  )

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['empty', []],
    ['a text', 'https://as.example'],
    ['no list of texts', [null, 5, { x: 1 }, '']],
  ])(
    'does not make the resource its own authorization server: the list is %s [prm.no-authorization-servers PR-15 PR-16 PR-17]',
    async (_name, authorization_servers) => {
      world.answer('prm', withMembers({ authorization_servers }), { times: 1 })
      const error: unknown = await world
        .connect()
        .api.get('')
        .catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
      expect((error as Error).message).toContain('`authorization_servers`')
      expect(locations()).toEqual([`${wellKnown}/mcp`, wellKnown])
      expectOnlyReading()
    },
  )

  it('is passed over for a candidate with authorization servers [prm.no-authorization-servers]', async () => {
    world.answer('prm', withMembers({ authorization_servers: [] }), { times: 1 })
    world.answer('prm', { body: document() })
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe('the authorization servers of a document', () => {
  beforeEach(() => start())

  function list(...authorization_servers: readonly unknown[]): void {
    world.answer('prm', withMembers({ authorization_servers }))
  }

  it('are tried from the first, which is the only one asked [prm.as-list-order PR-23]', async () => {
    list(world.issuer, ...Array.from({ length: 999 }, (_, index) => `${world.origin.evil}/${index}`))
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 200', ...signIn])
  })

  it('are chosen from by the configured issuer, which must be listed [prm.as-list-order]', async () => {
    list(world.origin.evil, world.issuer)
    await world.connect({ issuer: world.issuer }).api.get('')
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
    world.forget()
    list(world.origin.evil)
    const { api } = world.connect({ issuer: world.issuer })
    await expect(api.get('')).rejects.toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_AS_CHANGED' })
    expect(world.steps()).toEqual(['api 401', 'prm 200'])
  })

  it('are chosen from by the callback, whose choice must be listed [prm.as-list-order]', async () => {
    list(world.origin.evil, world.issuer)
    const offered: (readonly string[])[] = []
    const choosing = (choice: string): ReturnType<World['connect']> =>
      world.connect({ selectAuthorizationServer: (issuers) => (offered.push(issuers), choice) })
    await choosing(world.issuer).api.get('')
    expect(offered).toEqual([[world.origin.evil, world.issuer]])
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
    world.forget()
    const error: unknown = await choosing('https://other.example')
      .api.get('')
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_METADATA_INVALID' })
    expect((error as Error).message).toContain('selectAuthorizationServer')
    expect((error as Error).message).toContain('https://other.example')
    expect(world.steps()).toEqual(['api 401', 'prm 200'])
  })

  it.each<[string, (world: World) => string]>([
    ['a query', ({ issuer }) => `${issuer}?x=1`],
    ['a fragment', ({ issuer }) => `${issuer}#x`],
    ['an empty query', ({ issuer }) => `${issuer}?`],
    ['userinfo', ({ issuer }) => issuer.replace('//', '//user@')],
    ['a placeholder', () => 'https://{your-domain}'],
    ['plain http', () => 'http://as.example.test'],
    ['another scheme', () => 'ftp://127.0.0.1'],
    ['no URL', () => 'auth-server'],
  ])('that cannot be one are skipped: %s [prm.as-url-valid PR-20 PR-22]', async (_name, entry) => {
    list(entry(world), world.issuer)
    await world.connect().api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 200', ...signIn])
    world.forget()
    list(entry(world))
    expect(await code(world.connect().api.get(''))).toMatch(/^OAUTH_(URL_FORBIDDEN|METADATA_INVALID)$/)
    expect(world.steps()).toEqual(['api 401', 'prm 200'])
  })

  it('are not replaced by one another when the first is down [PR-24]', async () => {
    list(world.issuer, world.origin.evil)
    world.answer('as-metadata', { status: 503 })
    const { api } = world.connect({ storage: new MemoryTokenStorage() })
    expect(await code(api.get(''))).toBe('OAUTH_TEMPORARY')
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })
})

import { MemoryTokenStorage } from 'axios-oauth2'
import { startWorld, withMembers, type Answering, type Entry, type World, type WorldOptions } from './support/world'
import { failureOf } from './support/failure-of'

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
      await expect(world.connect({ legacy: 'off' }).api.get('')).rejects.toMatchObject({
        code: 'OAUTH_DISCOVERY_FAILED',
      })
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
    const error = await failureOf(choosing('https://other.example').api.get(''))
    expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_METADATA_INVALID' })
    expect(error.message).toContain('selectAuthorizationServer')
    expect(error.message).toContain('https://other.example')
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
    await expect(world.connect().api.get('')).rejects.toMatchObject({
      code: expect.stringMatching(/^OAUTH_(URL_FORBIDDEN|METADATA_INVALID)$/),
    })
    expect(world.steps()).toEqual(['api 401', 'prm 200'])
  })

  it('are not replaced by one another when the first is down [PR-24]', async () => {
    list(world.issuer, world.origin.evil)
    world.answer('as-metadata', { status: 503 })
    const { api } = world.connect({ storage: new MemoryTokenStorage() })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })
})

import {
  startWorld,
  withMembers,
  type ConnectOptions,
  type Connection,
  type World,
  type WorldOptions,
} from './support/world'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

const signIn = ['register 201', 'authorize 302', 'token 200', 'api 200']
const noResourceMetadata = ['api 401', 'prm 404', 'prm 404']

/** A connection, and the names of its events about discovery in order. */
function connect(o?: ConnectOptions): Connection & { readonly events: unknown[] } {
  const connection = world.connect(o)
  const events: unknown[] = []
  const { provider } = connection
  provider.on('legacyFallback', ({ step, origin }) => events.push(['legacyFallback', step, origin]))
  provider.on('discovered', ({ issuer }) => events.push(['discovered', issuer]))
  return { ...connection, events }
}

/** Nothing was registered, opened or posted. */
function expectOnlyDiscovery(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

describe('a server without resource metadata', () => {
  it('is its own authorization server as its metadata at the root says [legacy.conditions legacy.root-metadata PR-45]', async () => {
    await start({ legacy: 'metadata', path: '/deep/mcp/?tenant=1' })
    const { api, events } = connect()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 404', 'prm 404', 'prm 404', 'as-metadata 200', ...signIn])
    expect(world.requests('as-metadata')[0]?.url).toBe('/.well-known/oauth-authorization-server')
    expect(events).toEqual([
      ['legacyFallback', 'metadata', world.origin.rs],
      ['discovered', world.origin.rs],
    ])
  })

  it('may have an OpenID document instead, asked second [legacy.root-metadata]', async () => {
    await start({ legacy: 'metadata' })
    world.answer('as-metadata', { status: 404 })
    await connect().api.get('')
    expect(world.steps()).toEqual([...noResourceMetadata, 'as-metadata 404', 'openid 200', ...signIn])
    expect(world.requests('openid')[0]?.url).toBe('/.well-known/openid-configuration')
  })

  it('uses the endpoints of that metadata [legacy.root-metadata]', async () => {
    await start({ legacy: 'metadata' })
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.origin.rs}/oauth/v1/token` }))
    await connect()
      .api.get('')
      .catch(() => undefined)
    expect(world.order()).toContain('rs POST /oauth/v1/token')
    expect(world.order()).not.toContain('rs POST /token')
  })

  it.each<[string, (world: World) => string]>([
    ['another site', ({ origin }) => origin.evil],
    ['a path of the origin', ({ origin }) => `${origin.rs}/mcp`],
    ['another case', ({ origin }) => origin.rs.replace('http', 'HTTP')],
  ])('is refused when that metadata names as issuer %s [legacy.root-metadata issuer.exact]', async (_name, issuer) => {
    await start({ legacy: 'metadata' })
    world.answer('as-metadata', withMembers({ issuer: issuer(world) }))
    await expect(connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH' })
    expectOnlyDiscovery()
  })

  it('is the same issuer with one slash [legacy.root-metadata issuer.root-slash]', async () => {
    await start({ legacy: 'metadata', iss: false })
    world.answer('as-metadata', withMembers({ issuer: `${world.origin.rs}/` }))
    await expect(connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each(['/mcp', '/deep/mcp/?tenant=1', ''])(
    'has the default endpoints at its origin when it publishes nothing: path %j [legacy.default-endpoints]',
    async (path) => {
      await start({ legacy: 'endpoints', path })
      const { api, events } = connect()
      await api.get('')
      expect(world.steps().slice(-6)).toEqual(['as-metadata 404', 'openid 404', ...signIn])
      const posts = world.order().filter((line) => line.includes('POST') || line.includes('/authorize'))
      expect(posts).toEqual(['rs POST /register', 'rs GET /authorize', 'rs POST /token'])
      expect(events).toEqual([
        ['legacyFallback', 'endpoints', world.origin.rs],
        ['discovered', world.origin.rs],
      ])
    },
  )

  it('gets S256 although there is no document to read [legacy.pkce-sent]', async () => {
    await start({ legacy: 'endpoints' })
    await connect().api.get('')
    expect(Object.fromEntries(world.user.visits[0]?.searchParams ?? [])).toMatchObject({
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(world.requests('token')[0]?.form?.get('code_verifier')).toMatch(/^[\w.~-]{43,128}$/)
  })

  it('must promise S256 where there is a document to read [legacy.pkce-sent]', async () => {
    await start({ legacy: 'metadata' })
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }))
    await expect(connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED' })
    expectOnlyDiscovery()
  })

  it('tells of the mode once per discovery, and describe() of the step [legacy.reported]', async () => {
    await start({ legacy: 'endpoints' })
    const { api, provider, events } = connect()
    await Promise.all([api.get(''), api.get(''), api.get('')])
    world.expireTokens()
    await api.get('')
    expect(events.filter((event) => (event as string[])[0] === 'legacyFallback')).toHaveLength(1)
    expect(await provider.describe()).toMatchObject({ legacy: 'endpoints', issuer: world.origin.rs })
  })

  it('gets no static secret, which belongs to an issuer [legacy.conditions PR-19]', async () => {
    await start({ legacy: 'metadata' })
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    await expect(connect({ clientInformation }).api.get('')).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expectOnlyDiscovery()
    expect(world.leaksIn(world.journal)).toEqual([])
  })
})

describe('the legacy mode', () => {
  it.each<['metadata' | 'endpoints']>([['metadata'], ['endpoints']])(
    'is off with legacy: off, whatever there is: %s [legacy.off PR-45]',
    async (legacy) => {
      await start({ legacy })
      const { api, events } = connect({ legacy: 'off' })
      await expect(api.get('')).rejects.toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_DISCOVERY_FAILED' })
      expect(world.steps()).toEqual(noResourceMetadata)
      expect(events).toEqual([])
    },
  )

  it('is not entered when one candidate is a document [legacy.conditions]', async () => {
    await start({ legacy: 'metadata' })
    const document = { resource: world.origin.rs, authorization_servers: [world.origin.as] }
    world.answer('prm', { body: document }, { when: ({ url }) => url.endsWith('resource') })
    const { api, events } = connect()
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH' })
    expect(events).toEqual([])
    expect(world.journal.find(({ endpoint }) => endpoint === 'as-metadata')?.server).toBe('as')
  })

  it('is not entered when an issuer is configured, which is used instead [legacy.conditions]', async () => {
    await start()
    world.answer('prm', { status: 404 })
    const { api, events } = connect({ issuer: world.issuer })
    await api.get('')
    expect(events).toEqual([['discovered', world.issuer]])
    expect(world.order().filter((line) => line.includes('authorization-server'))).toEqual([
      'as GET /.well-known/oauth-authorization-server',
    ])
  })

  it('is not entered when the issuer is configured with the client [legacy.conditions]', async () => {
    await start()
    world.answer('prm', { status: 404 })
    const { redirect_uris: _, ...client } = world.addClient()
    const { api, events } = connect({ clientInformation: { ...client, issuer: world.issuer } })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(events).toEqual([['discovered', world.issuer]])
  })

  it.each<[string, Parameters<World['answer']>[1], string]>([
    ['a 5xx', { status: 503 }, 'OAUTH_TEMPORARY'],
    ['a rate limit', { status: 429 }, 'OAUTH_TEMPORARY'],
    ['a cut connection', 'reset', 'OAUTH_TEMPORARY'],
    ['a body cut short', 'truncate', 'OAUTH_TEMPORARY'],
    ['a deadline', 'hang', 'OAUTH_TIMEOUT'],
    ['a redirect', { status: 302, headers: { Location: '/login' } }, 'OAUTH_REDIRECT_REFUSED'],
    ['a permanent redirect', { status: 308, headers: { Location: '/login' } }, 'OAUTH_REDIRECT_REFUSED'],
    ['an invalid object', { body: { status: 'up' } }, 'OAUTH_METADATA_INVALID'],
    ['a 204', { status: 204 }, 'OAUTH_METADATA_INVALID'],
  ])('is not entered after %s, at any of its steps [legacy.never-after-failure]', async (_name, answer, code) => {
    for (const endpoint of ['prm', 'as-metadata', 'openid'] as const) {
      await start({ legacy: 'endpoints' })
      world.answer(endpoint, answer)
      const { api, events } = connect({ requestTimeout: 80 })
      await expect(api.get('')).rejects.toMatchObject({ name: 'OAuthDiscoveryError', code })
      expect(events).toEqual([])
      expectOnlyDiscovery()
      await world.stop()
    }
    await start()
  })

  it('is not entered when only the second location of the resource metadata fails [legacy.never-after-failure]', async () => {
    await start({ legacy: 'endpoints' })
    world.answer('prm', { status: 404 }, { times: 1 })
    world.answer('prm', { status: 500 })
    await expect(connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expectOnlyDiscovery()
  })

  it('is not entered after a location that may not be asked [legacy.never-after-failure WA-23]', async () => {
    await start({ legacy: 'endpoints' })
    const headers = { 'WWW-Authenticate': `Bearer resource_metadata="http://x@${new URL(world.origin.rs).host}/prm"` }
    world.answer('api', { status: 401, headers })
    await expect(connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
    expectOnlyDiscovery()
  })
})

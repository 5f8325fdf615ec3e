import { startWorld, withMembers, type World, type WorldOptions } from './support/world'
import { failureOf } from './support/failure-of'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

const oauth = '/.well-known/oauth-authorization-server'
const openid = '/.well-known/openid-configuration'
const signIn = ['register 201', 'authorize 302', 'token 200', 'api 200']

function asked(): string[] {
  return [...world.journal].filter(({ url }) => url.includes(oauth) || url.includes(openid)).map(({ url }) => url)
}

/** Changes what both documents of the issuer say. */
function say(members: Readonly<Record<string, unknown>>): void {
  world.answer('as-metadata', withMembers(members))
  world.answer('openid', withMembers(members))
}

/** Nothing was registered, opened or posted. */
function expectOnlyDiscovery(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

describe('where the metadata of an issuer is asked for', () => {
  it.each<[string, WorldOptions, string, readonly string[]]>([
    ['no path', {}, '', [oauth, openid]],
    ['a slash', {}, '/', [oauth, openid]],
    ['a path', { issuerPath: '/t/1' }, '', [`${oauth}/t/1`, `${openid}/t/1`, `/t/1${openid}`]],
    ['a path and a slash', { issuerPath: '/t/1' }, '/', [`${oauth}/t/1`, `${openid}/t/1`, `/t/1${openid}`]],
  ])(
    'are the well-known locations of an issuer with %s, in order [as-metadata.root-order as-metadata.path-order as-metadata.issuer-slash]',
    async (_name, o, slash, expected) => {
      await start(o)
      world.answer('prm', withMembers({ authorization_servers: [world.issuer + slash] }))
      world.answer('as-metadata', { status: 404 })
      world.answer('openid', { status: 404 })
      expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_DISCOVERY_FAILED' })
      expect(asked()).toEqual(expected)
    },
  )

  it.each<[string, WorldOptions, (url: string) => boolean]>([
    ['the OpenID document', {}, (url) => url === openid],
    ['the OpenID document with the path inserted', { issuerPath: '/t1' }, (url) => url === `${openid}/t1`],
    ['the OpenID document with the path in front', { issuerPath: '/t1' }, (url) => url === `/t1${openid}`],
  ])(
    'has %s and nothing else, which is enough [as-metadata.root-order as-metadata.path-order AS-30]',
    async (_name, o, has) => {
      await start(o)
      world.answer('as-metadata', { status: 404 })
      world.answer('openid', { status: 404 }, { when: ({ url }) => !has(url) })
      await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    },
  )

  it('ends with the first valid document, which is not mixed with another [as-metadata.first-valid-wins AS-36]', async () => {
    await start()
    world.answer('as-metadata', withMembers({ revocation_endpoint: undefined }))
    world.answer('openid', withMembers({ token_endpoint: `${world.origin.evil}/token` }))
    const { api, provider } = world.connect()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'prm 200', 'as-metadata 200', ...signIn])
    expect(provider.context.authorizationServerMetadata).not.toHaveProperty('revocation_endpoint')
  })
})

describe('an answer that is no metadata', () => {
  beforeEach(() => start())

  it.each<[string, { status?: number; body?: string | object }]>([
    ['400', { status: 400 }],
    ['401', { status: 401 }],
    ['403', { status: 403 }],
    ['404', { status: 404 }],
    ['405', { status: 405 }],
    ['a page', { body: '<html>' }],
    ['null', { body: 'null' }],
    ['an object without issuer', { body: { token_endpoint: 'https://as.example/token' } }],
    ['an object without token endpoint', { body: { issuer: 'https://as.example' } }],
    ['an empty object', { body: {} }],
  ])(
    'leads to the next candidate: %s [as-metadata.next-candidate as-metadata.required-members]',
    async (_name, answer) => {
      world.answer('as-metadata', answer)
      await world.connect().api.get('')
      expect(asked()).toEqual([oauth, openid])
      expect(world.steps().slice(-4)).toEqual(signIn)
    },
  )

  it.each([408, 425, 429, 500, 503])('ends the search: %i [as-metadata.next-candidate AS-32]', async (status) => {
    world.answer('as-metadata', { status })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({
      name: 'OAuthDiscoveryError',
      code: 'OAUTH_TEMPORARY',
      retryable: true,
      status,
    })
    expect(asked()).toEqual([oauth])
    expectOnlyDiscovery()
  })

  it.each<['reset' | 'truncate' | 'hang' | 'drip', string]>([
    ['reset', 'OAUTH_TEMPORARY'],
    ['truncate', 'OAUTH_TEMPORARY'],
    ['hang', 'OAUTH_TIMEOUT'],
    ['drip', 'OAUTH_TIMEOUT'],
  ])('ends the search: %s [as-metadata.next-candidate AS-35]', async (answering, code) => {
    world.answer('as-metadata', answering)
    expect(await failureOf(world.connect({ requestTimeout: 80 }).api.get(''))).toMatchObject({ code, retryable: true })
    expect(asked()).toEqual([oauth])
    expectOnlyDiscovery()
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['issuer missing', { issuer: undefined }, '`issuer`'],
    ['issuer null', { issuer: null }, '`issuer`'],
    ['issuer a list', { issuer: ['http://127.0.0.1'] }, '`issuer`'],
    ['token_endpoint missing', { token_endpoint: undefined }, '`token_endpoint`'],
    ['token_endpoint a number', { token_endpoint: 5 }, '`token_endpoint`'],
  ])(
    'is named when there is no better: %s [as-metadata.required-members AS-04 AS-05]',
    async (_name, members, named) => {
      say(members)
      const error = await failureOf(world.connect().api.get(''))
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_METADATA_INVALID', retryable: false })
      expect(error.message).toContain(named)
      expectOnlyDiscovery()
    },
  )

  it('is no reason to guess endpoints anywhere [as-metadata.no-origin-guess AS-31]', async () => {
    world.answer('as-metadata', { status: 404 })
    world.answer('openid', { status: 404 })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({
      name: 'OAuthDiscoveryError',
      code: 'OAUTH_DISCOVERY_FAILED',
    })
    expect(world.steps()).toEqual(['api 401', 'prm 200', 'as-metadata 404', 'openid 404'])
  })

  it('is told in order, each location once with status and reason [as-metadata.explain]', async () => {
    world.answer('prm', { body: { status: 'ok' } }, { times: 1 })
    world.answer('prm', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    world.answer('as-metadata', { status: 404 })
    world.answer('openid', { body: '<html>' })
    const { api, provider } = world.connect()
    const headers = { 'WWW-Authenticate': 'Bearer' }
    world.answer('api', { status: 401, headers })
    const { rs, as } = world.origin
    const error = await failureOf(api.get(''))
    const told = (await provider.describe()).discovery.map(({ url, status }) => [url, status])
    expect(told).toEqual([
      [`${rs}/.well-known/oauth-protected-resource/mcp`, 200],
      [`${rs}/.well-known/oauth-protected-resource`, 200],
      [as + oauth, 404],
      [as + openid, 200],
    ])
    const places = told.map(([url]) => error.message.search(new RegExp(`${String(url)}[ ]\\(`)))
    expect(places).not.toContain(-1)
    expect([...places].sort((a, b) => a - b)).toEqual(places)
    const outcomes = (await provider.describe()).discovery.map(({ outcome }) => outcome)
    expect(outcomes).toEqual(['OAUTH_METADATA_INVALID', 'document', 'absent', 'not a JSON object'])
  })

  it('is told without what the query of a server URL may hold [as-metadata.explain]', async () => {
    await world.stop()
    await start({ path: '/mcp?key=s3cr3t-of-a-tenant' })
    world.answer('prm', { status: 404 })
    const { api, provider } = world.connect({ legacy: 'off' })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_DISCOVERY_FAILED' })
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('s3cr3t')
    expect(JSON.stringify((await provider.describe()).discovery)).not.toContain('s3cr3t')
  })
})

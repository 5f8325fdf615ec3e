import { startWorld, withMembers, type World, type WorldOptions } from './support/world'
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

/** What the resource's metadata says honestly. */
function document(): Record<string, unknown> {
  return { resource: world.serverUrl, authorization_servers: [world.issuer] }
}

function locations(): string[] {
  return world.requests('prm').map(({ url }) => url)
}

/** Nobody was told anything but the discovery's own GETs. */
function expectOnlyReading(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

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
      const error = await failureOf(world.connect().api.get(''))
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
      const error = await failureOf(world.connect({ requestTimeout: 80 }).api.get(''))
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_TIMEOUT', retryable: true })
      expect(world.count('prm')).toBe(1)
      expectOnlyReading()
    },
  )

  it('is no reason to fail for good: the next request discovers anew [prm.stop-on-5xx]', async () => {
    world.answer('prm', { status: 503 }, { times: 1 })
    const { api } = world.connect()
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY' })
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
      const error = await failureOf(world.connect().api.get(''))
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_METADATA_INVALID', retryable: false })
      expect(error.message).toContain('`resource`')
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
      const error = await failureOf(world.connect().api.get(''))
      expect(error).toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
      expect(error.message).toContain('`authorization_servers`')
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

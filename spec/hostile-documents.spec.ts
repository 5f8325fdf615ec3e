import { createServer, type AddressInfo, type Server } from 'node:net'
import { gzipSync } from 'node:zlib'
import { startWorld, withMembers, type Answer, type ConnectOptions, type World } from './support/world'
import { failureOf } from './support/failure-of'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

/** What the resource's metadata says honestly. */
function document(): Record<string, unknown> {
  return { resource: world.serverUrl, authorization_servers: [world.issuer] }
}

const locations = { prm: ['prm'], 'as-metadata': ['prm', 'as-metadata'] } as const

/** The one hostile answer ends discovery: no other location, no fallback, nothing posted, and the next attempt is fine. */
async function expectEnd(
  endpoint: keyof typeof locations,
  answer: Parameters<World['answer']>[1],
  expected: { readonly code: string; readonly retryable?: boolean },
  o: ConnectOptions = {},
): Promise<void> {
  world.forget()
  const undo = world.answer(endpoint, answer)
  const { api } = world.connect(o)
  const startedAt = performance.now()
  const error = await failureOf(api.get(''))
  expect(error).toMatchObject({ name: 'OAuthDiscoveryError', phase: 'discovery', ...expected })
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect(world.journal.map((entry) => entry.endpoint)).toEqual(['api', ...locations[endpoint]])
  undo()
  await expect(api.get('')).resolves.toMatchObject({ status: 200 })
}

const json = { 'Content-Type': 'application/json' }

function gzipped(body: Buffer, encoding = 'gzip'): Answer {
  return { headers: { ...json, 'Content-Encoding': encoding }, body }
}

describe.each(['prm', 'as-metadata'] as const)('a hostile answer for %s', (endpoint) => {
  it('is not read beyond 512 KB [PR-27 AS-34]', async () => {
    const body = JSON.stringify({ ...document(), padding: 'x'.repeat(10 * 1024 * 1024) })
    await expectEnd(endpoint, { headers: json, body }, { code: 'OAUTH_RESPONSE_TOO_LARGE', retryable: false })
  })

  it('is not inflated beyond 512 KB [PR-28]', async () => {
    const body = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))
    await expectEnd(endpoint, gzipped(body), { code: 'OAUTH_RESPONSE_TOO_LARGE', retryable: false })
  })

  it.each([Array(50).fill('gzip').join(', '), 'gzip, gzip', 'sevenfold', 'gzip;q=1'])(
    'proves nothing in an encoding that nobody decodes: %s [PR-29 legacy.never-after-failure]',
    async (encoding) => {
      await expectEnd(endpoint, gzipped(gzipSync('{}'), encoding), { code: 'OAUTH_METADATA_INVALID' })
    },
  )

  it('proves nothing in an encoding that is not what it says [PR-29 legacy.never-after-failure]', async () => {
    await expectEnd(endpoint, gzipped(Buffer.from('{}')), { code: 'OAUTH_TEMPORARY', retryable: true })
  })

  it.each([301, 302, 303, 307, 308])('does not send us elsewhere: %i [PR-33 AS-33]', async (status) => {
    const headers = { Location: `${world.origin.evil}/.well-known/oauth-protected-resource/mcp` }
    await expectEnd(endpoint, { status, headers }, { code: 'OAUTH_REDIRECT_REFUSED', retryable: false })
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })

  it.each([
    'http://169.254.169.254/latest/',
    'file:///etc/passwd',
    '',
    '//',
    '/.well-known/oauth-protected-resource/mcp',
  ])('does not send us to %j [PR-34 PR-35]', async (location) => {
    const headers = location === '' ? {} : { Location: location }
    await expectEnd(endpoint, { status: 302, headers }, { code: 'OAUTH_REDIRECT_REFUSED' })
  })

  it.each([201, 203, 204, 206, 304])('is neither document nor absence: %i [PR-48]', async (status) => {
    await expectEnd(
      endpoint,
      { status, headers: json, body: status === 304 ? '' : JSON.stringify(document()) },
      { code: 'OAUTH_METADATA_INVALID' },
    )
  })

  it('ends at the deadline when headers drip [PR-32]', async () => {
    const server = await drippingServer()
    const { port } = server.address() as AddressInfo
    try {
      const origin = `http://127.0.0.1:${port}`
      const announced = { 'WWW-Authenticate': `Bearer resource_metadata="${origin}/prm"` }
      if (endpoint === 'prm') world.answer('api', { status: 401, headers: announced })
      else world.answer('prm', withMembers({ authorization_servers: [origin] }))
      const error = await failureOf(world.connect({ requestTimeout: 80 }).api.get(''))
      expect(error).toMatchObject({ code: 'OAUTH_TIMEOUT', retryable: true })
    } finally {
      server.close()
    }
  })

  it('may have a byte order mark, and a content type that is wrong [PR-37 PR-38]', async () => {
    world.answer(endpoint, async (_request, honest) => ({
      headers: { 'Content-Type': 'text/plain' },
      body: `\ufeff${JSON.stringify((await honest()).body)}`,
    }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.count(endpoint)).toBe(1)
  })

  it('may be compressed [PR-28]', async () => {
    world.answer(endpoint, async (_request, honest) => gzipped(gzipSync(JSON.stringify((await honest()).body))))
    await expect(world.connect({}, { adapter: 'fetch' }).api.get('')).resolves.toMatchObject({ status: 200 })
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('is refused when its text was damaged on the way [PR-47 legacy.never-after-failure]', async () => {
    const members = endpoint === 'prm' ? document() : { issuer: world.issuer, token_endpoint: `${world.issuer}/token` }
    const text = JSON.stringify({ ...members, name: 'NAME' })
    const bytes = Buffer.from(text.replace('NAME', '\xe9'), 'latin1')
    await expectEnd(endpoint, { headers: json, body: bytes }, { code: 'OAUTH_METADATA_INVALID' })
    await expectEnd(
      endpoint,
      { headers: json, body: text.replace('NAME', '\\ud800') },
      { code: 'OAUTH_METADATA_INVALID' },
    )
  })

  it('does not overflow anything by its depth [PR-43]', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const members = endpoint === 'prm' ? document() : { issuer: world.issuer, token_endpoint: `${world.issuer}/token` }
    world.answer(endpoint, { headers: json, body: `${JSON.stringify(members).slice(0, -1)},"deep":${deep}}` })
    world.answer('openid', { status: 404 })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
    expect(world.count('register')).toBe(0)
  })
})

describe('the members of hostile resource metadata', () => {
  it('count only as its own [PR-40]', async () => {
    const evil = JSON.stringify([world.origin.evil])
    const { resource } = document()
    const body = `{"resource":"${String(resource)}","__proto__":{"authorization_servers":${evil}},"constructor":{"prototype":{"authorization_servers":${evil}}}}`
    world.answer('prm', { headers: json, body })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
    expect(({} as Record<string, unknown>).authorization_servers).toBeUndefined()
    expect(world.journal.filter(({ server }) => server !== 'rs')).toEqual([])
  })

  it('do not lead credentials elsewhere by being there twice [PR-39]', async () => {
    const { redirect_uris: _, ...client } = world.addClient()
    const body = JSON.stringify(document()).replace(/}$/, `,"authorization_servers":["${world.origin.evil}"]}`)
    world.answer('prm', { headers: json, body })
    const { api } = world.connect({ clientInformation: { ...client, issuer: world.issuer } })
    expect(await failureOf(api.get(''))).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(world.steps()).toEqual(['api 401', 'prm 200'])
  })

  it('do not come out of a JWT that nobody verified [PR-49]', async () => {
    const claims = { ...document(), authorization_servers: [world.origin.evil] }
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    world.answer('prm', withMembers({ signed_metadata: `${encode({ alg: 'none' })}.${encode(claims)}.` }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })

  it('do not move the token into the URL [PR-50]', async () => {
    world.answer('prm', withMembers({ bearer_methods_supported: ['query'] }))
    await world
      .connect()
      .api.get('')
      .catch(() => undefined)
    for (const { url } of world.requests('api')) expect(url).toBe('/mcp')
  })

  it('do not ask for scopes beyond the cap [PR-26]', async () => {
    world.answer(
      'prm',
      withMembers({ scopes_supported: Array.from({ length: 10_000 }, (_, index) => `scope-${index}`) }),
    )
    await world
      .connect()
      .api.get('')
      .catch(() => undefined)
    for (const url of world.user.visits) expect(url.href.length).toBeLessThan(8_192)
  })
})

/** Sends a header line one letter at a time, for ever. */
function drippingServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\nX: ')
    const timer = setInterval(() => socket.write('x'), 5)
    socket.on('close', () => clearInterval(timer))
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

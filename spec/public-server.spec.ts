import { startWorld, withMembers, type World } from './support/world'
import { names, underPublicNames, type PublicWorld } from './support/public-names'
import { failureOf } from './support/failure-of'

let world: World
let net: PublicWorld

beforeEach(async () => {
  world = await startWorld()
  net = underPublicNames(world)
})
afterEach(() => world.stop())

const publicIssuer = names.as
const wellKnown = `${names.rs}/.well-known/oauth-protected-resource`
const discovered = [`${wellKnown}/mcp`, `${names.as}/.well-known/oauth-authorization-server`]
const cold = [`${names.rs}/mcp`, ...discovered, `${names.as}/register`, `${names.as}/token`, `${names.rs}/mcp`]

function announce(location: string): void {
  world.answer(
    'api',
    { status: 401, headers: { 'WWW-Authenticate': `Bearer resource_metadata="${location}"` } },
    { times: 1 },
  )
}

/** The next sign-in is refused before anything is registered or opened; only these URLs were asked besides the API. */
async function expectRefusal(code: string, asked: readonly string[]): Promise<Error> {
  const error = await failureOf(net.connect().api.get(''))
  expect(error).toMatchObject({ code })
  expect(net.asked.slice(1)).toEqual(asked)
  expect(world.user.visits).toEqual([])
  return error
}

describe('a public server', () => {
  it('is signed in to over https', async () => {
    await expect(net.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(net.asked).toEqual(cold)
  })
})

const internal: readonly string[] = [
  'http://169.254.169.254/latest/meta-data/',
  'http://[::ffff:a9fe:a9fe]/latest/',
  'https://169.254.169.254/latest/meta-data/',
  ...'2130706433 0x7f.1 0177.0.0.1 127.1 0 [::] [::1] [::ffff:7f00:1] [64:ff9b::a9fe:a9fe] [fd00::1] [fe80::1] 100.64.0.1 192.0.0.1 198.18.0.1 10.0.0.1 localhost localhost. foo.localhost metadata.google.internal'
    .split(' ')
    .map((host) => `https://${host}/prm`),
]

describe('resource_metadata of a public server', () => {
  it.each([
    ...internal,
    'http://api.example.com/.well-known/oauth-protected-resource/mcp',
    'http://evil.example.org/prm',
    'http://x@127.0.0.1@api.example.com/prm',
    'https://user:pass@api.example.com/prm',
    'http://localhost/prm',
  ])(
    'is never asked at %s; the well-known locations are [prm.header-other-origin WA-18 WA-19 WA-20 WA-23 WA-27 WA-37]',
    async (location) => {
      announce(location)
      const { api, provider } = net.connect()
      const refused: unknown[] = []
      provider.on('urlRefused', ({ code }) => refused.push(code))
      await api.get('')
      expect(net.asked).toEqual(cold)
      expect(refused).toEqual(['OAUTH_URL_FORBIDDEN'])
    },
  )

  it.each(internal)(
    'is the reason of the failure when these have nothing: %s [prm.header-other-origin WA-19 WA-20 WA-27]',
    async (location) => {
      announce(location)
      world.answer('prm', { status: 404 })
      await expectRefusal('OAUTH_URL_FORBIDDEN', [`${wellKnown}/mcp`, wellKnown])
    },
  )

  it('may be on another https origin, whose document names the resource [prm.header-other-origin WA-18]', async () => {
    const document = { resource: net.serverUrl, authorization_servers: [publicIssuer] }
    world.answer('prm', { body: document }, { when: ({ server }) => server === 'evil' })
    announce(`${names.evil}/.well-known/oauth-protected-resource/central`)
    await expect(net.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(net.asked[1]).toBe(`${names.evil}/.well-known/oauth-protected-resource/central`)
    expect(world.journal.filter(({ server }) => server === 'evil')).toHaveLength(1)
  })
})

describe('the resource of a public server', () => {
  it.each<[string, string, string]>([
    ['another host', '/mcp', 'https://honest.example/mcp'],
    ['a host that begins alike', '/mcp', 'https://api.example.com.evil.com/mcp'],
    ['a userinfo twin', '/mcp', 'https://api.example.com@api.example.com/mcp'],
    ['a path that begins alike', '/mcp', `${names.rs}/mc`],
    ['a version that begins alike', '/v1evil', `${names.rs}/v1`],
    ['a child', '/mcp', `${names.rs}/mcp/admin`],
    ['a sibling', '/api/mcp', `${names.rs}/api/other`],
    ['a fragment', '/mcp', `${names.rs}/mcp#x`],
    ['an empty fragment', '/mcp', `${names.rs}/mcp#`],
    ['a dot segment', '/mcp', `${names.rs}/x/../mcp`],
    ['a percent-encoded letter', '/mcp', `${names.rs}/%6dcp`],
    ['another case of the path', '/mcp', `${names.rs}/MCP`],
    ['a letter that looks alike', '/mcp', 'https://аpi.example.com/mcp'],
    ['a dot behind the host', '/mcp', 'https://api.example.com./mcp'],
    ['a query', '/mcp', `${names.rs}/mcp?tenant=1`],
    ['no query', '/mcp?tenant=1', `${names.rs}/mcp`],
    ['another query', '/mcp?tenant=1', `${names.rs}/mcp?tenant=2`],
    ['a parent with a query', '/api/mcp', `${names.rs}/api?tenant=1`],
    ['http', '/mcp', 'http://api.example.com/mcp'],
    ['another port', '/mcp', 'https://api.example.com:8443/mcp'],
    ['a blank', '/mcp', `${names.rs}/mcp `],
    ['no URL', '/mcp', 'mcp'],
  ])(
    'is not %s [prm.resource-mismatch prm.resource-match prm.resource-parent prm.resource-query PR-01 PR-02 PR-03 PR-04 PR-07 PR-08 PR-09 PR-10 PR-13 PR-14]',
    async (_name, path, resource) => {
      net = underPublicNames(world, path)
      world.answer('prm', { body: { resource, authorization_servers: [publicIssuer] } })
      world.answer('api', { status: 401 })
      world.answer('other', { status: 401 })
      const { api } = net.connect()
      const error = await failureOf(api.get(''))
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_RESOURCE_MISMATCH' })
      expect(error.message).toContain(JSON.stringify(resource))
      expect(error.message).toContain(JSON.stringify(net.serverUrl))
      expect(net.asked).toHaveLength(2)
    },
  )

  it.each<[string, string, string, boolean]>([
    ['itself', '/mcp', `${names.rs}/mcp`, true],
    ['scheme and host in another case', '/mcp', 'HTTPS://API.example.com/mcp', false],
    ['the default port', '/mcp', 'https://api.example.com:443/mcp', false],
    ['a slash more', '/mcp', `${names.rs}/mcp/`, false],
    ['a slash less', '/mcp/', `${names.rs}/mcp`, false],
    ['the origin', '/mcp', names.rs, false],
    ['the origin with a slash', '/mcp', `${names.rs}/`, false],
    ['a parent', '/api/v1/mcp', `${names.rs}/api`, false],
    ['a parent of one with a query', '/api/mcp?tenant=1', `${names.rs}/api`, false],
    ['the same query', '/mcp?tenant=1', `${names.rs}/mcp?tenant=1`, true],
  ])(
    'may be %s, sent as it is spelled; exactly that with resourceMatch: exact [prm.resource-match prm.resource-parent prm.resource-query PR-05 PR-06 PR-13]',
    async (_name, path, resource, exact) => {
      net = underPublicNames(world, path)
      world.answer('prm', { body: { resource, authorization_servers: [publicIssuer] } })
      world.answer('api', { status: 401 })
      world.answer('other', { status: 401 })
      const { url } = await net.connect().provider.startAuthorization()
      expect(new URL(url).searchParams.getAll('resource')).toEqual([resource])
      const strict = net.connect({ resourceMatch: 'exact' }).provider.startAuthorization()
      if (exact) await expect(strict).resolves.toHaveProperty('url')
      else await expect(strict).rejects.toMatchObject({ code: 'OAUTH_RESOURCE_MISMATCH' })
    },
  )
})

describe('the authorization server of a public server', () => {
  it.each([
    'http://as.example.test',
    'http://127.0.0.1',
    'https://10.0.0.1',
    'https://[::1]',
    'https://metadata.google.internal',
  ])('is not at %s [prm.as-url-valid PR-20 PR-21]', async (issuer) => {
    world.answer('prm', { body: { resource: net.serverUrl, authorization_servers: [issuer] } })
    await expectRefusal('OAUTH_URL_FORBIDDEN', [`${wellKnown}/mcp`])
  })

  it('may be at a private address when that is allowed [PR-21]', async () => {
    world.answer('prm', { body: { resource: net.serverUrl, authorization_servers: ['https://10.0.0.1'] } })
    const error = await failureOf(net.connect({ allowPrivateAddresses: true }).api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(net.asked.at(-1)).toBe('https://10.0.0.1/.well-known/oauth-authorization-server')
  })

  it.each<[string, string]>([
    ['authorization_endpoint', 'javascript:alert(1)'],
    ['authorization_endpoint', 'data:text/html,<script>'],
    ['authorization_endpoint', 'file:///etc/passwd'],
    ['authorization_endpoint', 'ms-msdt:/id'],
    ['authorization_endpoint', 'vscode://x/y'],
    ['authorization_endpoint', 'vbscript:x'],
    ['authorization_endpoint', 'search-ms:query=x'],
    ['authorization_endpoint', '--version'],
    ['authorization_endpoint', '-a Calculator'],
    ['authorization_endpoint', '/authorize'],
    ['authorization_endpoint', 'http://as.example.net/authorize'],
    ['authorization_endpoint', 'http://127.0.0.1/authorize'],
    ['authorization_endpoint', `${names.as}/authorize\r\nX: y`],
    ['authorization_endpoint', 'https://as.exa\tmple.net/authorize'],
    ['authorization_endpoint', `${names.as}/authorize?${'x'.repeat(200_000)}`],
    ['token_endpoint', 'http://as.example.net/token'],
    ['token_endpoint', 'https://192.168.1.1/'],
    ['token_endpoint', 'https://localhost/token'],
    ['token_endpoint', 'https://u:p@as.example.net/token'],
    ['token_endpoint', 'https://@as.example.net/token'],
    ['token_endpoint', 'token'],
    ['registration_endpoint', 'http://as.example.net/register'],
    ['revocation_endpoint', 'ftp://as.example.net/revoke'],
    ['pushed_authorization_request_endpoint', 'http://as.example.net/par'],
  ])(
    'may not name as %s %j [as-metadata.https-endpoints AS-10 AS-11 AS-12 AS-13 AS-15 AS-18 AS-19 AS-22 AS-23 AS-24 AS-40]',
    async (member, value) => {
      world.answer('as-metadata', withMembers({ [member]: value }))
      const error = await expectRefusal('OAUTH_URL_FORBIDDEN', discovered)
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError' })
      expect(error.message).toContain(member)
      expect(error.message.length).toBeLessThanOrEqual(1024)
    },
  )

  it.each(['authorization_endpoint', 'token_endpoint'])(
    'may not name a %s with a fragment [as-metadata.https-endpoints AS-16]',
    async (member) => {
      world.answer('as-metadata', withMembers({ [member]: `${names.as}/x#` }))
      world.answer('openid', { status: 404 })
      await expectRefusal('OAUTH_METADATA_INVALID', [...discovered, `${names.as}/.well-known/openid-configuration`])
    },
  )

  it('may have an authorization endpoint with a query, in which our parameters are ours [AS-17]', async () => {
    const query = 'tenant=1&client_id=evil&redirect_uri=https%3A%2F%2Fevil.example.org&state=x&code_challenge=y'
    world.answer('as-metadata', withMembers({ authorization_endpoint: `${names.as}/authorize?${query}` }))
    await expect(net.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    const parameters = world.user.visits[0]?.searchParams
    expect(parameters?.get('tenant')).toBe('1')
    for (const name of ['client_id', 'redirect_uri', 'state', 'code_challenge'])
      expect(parameters?.getAll(name)).toHaveLength(1)
    expect(parameters?.get('redirect_uri')).toBe(world.redirectUri)
  })

  it.each<[string, string, boolean]>([
    ['a sub-domain of the issuer', 'https://login.as.example.net', true],
    ['a parent domain of the issuer', 'https://example.net', true],
    ['a sibling of the issuer', 'https://login.example.net', false],
    ['a host that ends alike', 'https://evil-as.example.net', false],
    ['another site', names.evil, false],
  ])('is believed without iss by the hosts of its endpoints: %s [mixup.host-rule]', async (_name, origin, related) => {
    const silent = { authorization_response_iss_parameter_supported: undefined }
    world.answer('as-metadata', withMembers({ authorization_endpoint: `${origin}/authorize`, ...silent }))
    const { provider } = net.connect({ interactive: false })
    const { state } = await provider.startAuthorization()
    const outcome = await failureOf(provider.finishAuthorization(`${world.redirectUri}?code=some-code&state=${state}`))
    expect(outcome).toMatchObject({ code: related ? 'OAUTH_TOKEN_ENDPOINT_ERROR' : 'OAUTH_ISSUER_MISMATCH' })
    expect(world.count('token')).toBe(related ? 1 : 0)
  })
})

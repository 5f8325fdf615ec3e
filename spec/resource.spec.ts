import { clientCredentials, deviceCode, jwtBearer, MemoryTokenStorage, type OAuthFlowError } from 'axios-oauth2'
import { rejectionOf, signedIn } from './support/session'
import { pathOf, startWorld, withMembers, type ConnectOptions, type World, type WorldOptions } from './support/world'

let world: World
const worlds: World[] = []

async function start(o: WorldOptions = {}): Promise<World> {
  const started = await startWorld(o)
  worlds.push(started)
  return started
}
beforeEach(async () => {
  world = await start()
})
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((one) => one.stop()))
})

/** The `resource` parameters of the authorization request that the person opened last. */
function inPage(): string[] {
  return world.user.visits.at(-1)?.searchParams.getAll('resource') ?? []
}

/** The `resource` parameters of each token request. */
function inTokenRequests(): string[][] {
  return world.requests('token').map(({ form }) => form?.getAll('resource') ?? [])
}

/** Signs in and renews once: gives what was sent on the page, for the code and for the refresh. */
async function sentBy(o: ConnectOptions = {}, headers: Record<string, string> = {}): Promise<string[][]> {
  const { api } = world.connect(o)
  await api.get('', { headers })
  world.expireTokens()
  await api.get('', { headers })
  return [inPage(), ...inTokenRequests()]
}

describe('the resource parameter', () => {
  it('is the same, once, on the page, for the code and for every refresh [resource.everywhere]', async () => {
    expect(await sentBy()).toEqual([[world.serverUrl], [world.serverUrl], [world.serverUrl]])
    expect(world.requests('token').map(({ form }) => form?.get('grant_type'))).toEqual([
      'authorization_code',
      'refresh_token',
    ])
  })

  it('is part of client-credentials requests, the renewal included [resource.everywhere]', async () => {
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    const machine = { grant: clientCredentials(), clientInformation: { ...clientInformation, issuer: world.issuer } }
    const { api } = world.connect(machine)
    await api.get('')
    world.expireTokens()
    await api.get('')
    expect(inTokenRequests()).toEqual([[world.serverUrl], [world.serverUrl]])
  })

  it('is part of JWT-bearer requests [resource.everywhere]', async () => {
    world.answer('token', { body: { access_token: 'access-by-assertion', token_type: 'Bearer' } })
    const clientInformation = { client_id: 'workload', issuer: world.issuer }
    await world.connect({ grant: jwtBearer({ assertion: 'a.b.c' }), clientInformation }).provider.getAccessToken()
    expect(inTokenRequests()).toEqual([[world.serverUrl]])
  })

  it('is part of device authorization requests [resource.everywhere]', async () => {
    world.answer('as-metadata', withMembers({ device_authorization_endpoint: `${world.issuer}/device` }))
    world.answer('other', { status: 400, body: { error: 'invalid_request' } })
    const { provider } = world.connect({
      grant: deviceCode({ onUserCode: () => undefined }),
      clientInformation: { client_id: 'television' },
      interactive: false,
    })
    await rejectionOf(provider.getAccessToken())
    const [request] = world.requests('other').filter((entry) => pathOf(entry) === '/device')
    expect(request?.form?.getAll('resource')).toEqual([world.serverUrl])
  })

  it('is the metadata’s own spelling, byte for byte: a bare origin stays without slash [resource.verbatim]', async () => {
    const resource = world.origin.rs
    world.answer('prm', withMembers({ resource }))
    expect(await sentBy()).toEqual([[resource], [resource], [resource]])
  })

  it.each([
    ['in capitals', (url: string) => url.replace('http://', 'HTTP://')],
    ['with a slash', (url: string) => `${url}/`],
  ])('keeps a spelling %s [resource.verbatim]', async (_how, spell) => {
    const resource = spell(world.serverUrl)
    world.answer('prm', withMembers({ resource }))
    // The audience that such an authorization server notes is its own business.
    world.answer('api', { body: 'fine' }, { when: ({ headers }) => headers.authorization !== undefined })
    const { api } = world.connect()
    await api.get('')
    world.clock.advance(3_601_000)
    await api.get('')
    expect([inPage(), ...inTokenRequests()]).toEqual([[resource], [resource], [resource]])
  })

  it('is the canonical server URL where the resource publishes nothing [resource.without-prm]', async () => {
    world.answer('prm', { status: 404 })
    const serverUrl = `${world.serverUrl.replace('http', 'HTTP')}/Path?Tenant=A#part`
    const canonical = `${world.serverUrl}/Path?Tenant=A`
    const { provider } = world.connect({ issuer: world.issuer, serverUrl })
    await provider.getAccessToken()
    expect([inPage(), ...inTokenRequests()]).toEqual([[canonical], [canonical]])
  })

  it.each([
    [undefined, false],
    ['2025-03-26', false],
    ['2025-06-18', true],
    ['2026-07-28', true],
  ])(
    'of a server of 2025-03-26 with a request that speaks %s is sent: %s [resource.legacy]',
    async (version, isSent) => {
      world = await start({ legacy: 'metadata' })
      const sent = await sentBy({}, version === undefined ? {} : { 'MCP-Protocol-Version': version })
      const expected = isSent ? [world.serverUrl] : []
      expect(sent).toEqual([expected, expected, expected])
    },
  )

  it('of a refresh after a restart is what was stored, whatever URL is requested, and nothing is discovered [resource.after-restart] [refresh.endpoint-known]', async () => {
    const resource = world.origin.rs
    world.answer('prm', withMembers({ resource }))
    const storage = new MemoryTokenStorage({ now: world.clock.now })
    await signedIn(world, { storage })
    world.expireTokens()
    await world.connect({ storage }).api.get('/deep/er?x=1')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
    expect(inTokenRequests()).toEqual([[resource]])
  })
})

describe('the option `resource`', () => {
  it('is sent in place of the metadata’s [resource.override]', async () => {
    world.answer('api', { body: 'fine' }, { when: ({ headers }) => headers.authorization !== undefined })
    const { api } = world.connect({ resource: 'api://name' })
    await api.get('')
    expect([inPage(), ...inTokenRequests()]).toEqual([['api://name'], ['api://name']])
  })

  it('may be what the metadata says although that does not match the server URL [resource.override]', async () => {
    const resource = 'https://other.example/api'
    world.answer('prm', withMembers({ resource }))
    world.answer('api', { body: 'fine' }, { when: ({ headers }) => headers.authorization !== undefined })
    await world.connect({ resource }).api.get('')
    expect([inPage(), ...inTokenRequests()]).toEqual([[resource], [resource]])
  })

  it('does not excuse metadata about a third one [resource.override] [prm.resource-mismatch]', async () => {
    world.answer('prm', withMembers({ resource: 'https://third.example/' }))
    expect(await rejectionOf(world.connect({ resource: 'https://other.example/api' }).api.get(''))).toMatchObject({
      code: 'OAUTH_RESOURCE_MISMATCH',
    })
    expect(world.count('register') + world.count('token')).toBe(0)
  })

  it('`false` leaves the parameter out everywhere [resource.override]', async () => {
    expect(await sentBy({ resource: false })).toEqual([[], [], []])
  })

  const conflict = {
    error: 'invalid_target',
    error_description: 'AADSTS9010010: The resource parameter provided in the request does not match the scopes.',
  }
  it('is named by the error of a token endpoint that refuses resource and scope together [resource.override]', async () => {
    world.answer('token', { status: 400, body: { ...conflict, error: 'invalid_request' } })
    const error = (await rejectionOf(world.connect({ scope: 'read' }).api.get(''))) as OAuthFlowError
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_request' })
    expect(error.hint).toContain('`resource`')
  })

  it.each([conflict, { ...conflict, error: 'invalid_request' }])(
    'is named by the error of a callback that does so [resource.override]',
    async (members) => {
      world.user.rewrite((url) => {
        const callback = new URL(url)
        callback.searchParams.delete('code')
        for (const [name, value] of Object.entries(members)) callback.searchParams.set(name, value)
        return callback.href
      })
      const error = (await rejectionOf(world.connect({ scope: 'read' }).api.get(''))) as OAuthFlowError
      expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED', oauthError: members.error })
      expect(error.hint).toContain('`resource`')
    },
  )
})

describe('two resources of one authorization server', () => {
  it('have tokens of their own, although they share a storage, and neither sees the other’s [resource.own-token]', async () => {
    const other = await start()
    other.answer('prm', withMembers({ authorization_servers: [world.issuer] }))
    other.answer('api', { body: 'fine' }, { when: ({ headers }) => headers.authorization !== undefined })
    const storage = new MemoryTokenStorage()
    const first = world.connect({ storage })
    const second = world.connect({ storage, serverUrl: other.serverUrl }, { baseURL: other.serverUrl })
    await first.api.get('')
    await second.api.get('')
    await first.api.get('/x')
    await second.api.get('/x')
    expect(world.user.visits.map(({ searchParams }) => searchParams.get('resource'))).toEqual([
      world.serverUrl,
      other.serverUrl,
    ])
    const tokensAt = (one: World): Set<string | undefined> =>
      new Set(one.requests('api').flatMap(({ headers }) => headers.authorization ?? []))
    expect(tokensAt(world).size).toBe(1)
    expect(tokensAt(other).size).toBe(1)
    expect([...tokensAt(world)]).not.toEqual([...tokensAt(other)])
  })
})

describe('tokenParams', () => {
  it('are part of every token request [resource.token-params]', async () => {
    await sentBy({ tokenParams: { audience: 'https://api.example', empty: '' } })
    for (const { form } of world.requests('token')) {
      expect(form?.get('audience')).toBe('https://api.example')
      expect(form?.has('empty')).toBe(false)
    }
    expect(world.count('token')).toBe(2)
  })

  it.each([
    'grant_type',
    'code',
    'code_verifier',
    'redirect_uri',
    'refresh_token',
    'scope',
    'resource',
    'client_id',
    'client_secret',
    'client_assertion',
    'client_assertion_type',
    'assertion',
    'device_code',
    'subject_token',
  ])('that name %s are refused at construction [resource.token-params]', (name) => {
    expect(() => world.connect({ tokenParams: { [name]: 'x' } })).toThrow(TypeError)
    expect(() => world.connect({ tokenParams: { [name]: 'x' } })).toThrow('tokenParams')
  })
})

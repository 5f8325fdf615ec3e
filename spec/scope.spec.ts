import { MemoryTokenStorage, type OAuthEvents } from 'axios-oauth2'
import { mainSteps, rejectionOf, scopeAsked, signedIn } from './support/session'
import { startWorld, withMembers, type ConnectOptions, type World, type WorldOptions } from './support/world'

let world: World
afterEach(() => world.stop())

/** Signs in with a first request and gives the scope that the person was asked for. */
async function firstScope(servers: WorldOptions, o: ConnectOptions = {}): Promise<string | null> {
  world = await startWorld(servers)
  await world.connect(o).api.get('')
  return scopeAsked(world)
}

/** The scopes of a list, in a fixed order. */
function sorted(scope: string | null): string {
  return (scope ?? '').split(' ').sort().join(' ')
}

describe('the scope of a first sign-in', () => {
  const supported = { scopesSupported: ['a', 'b'] }
  it.each<[string, WorldOptions, ConnectOptions, string]>([
    ['the challenge’s', { ...supported, requireScope: 'read' }, {}, 'read'],
    ['the challenge’s with the configured one', { ...supported, requireScope: 'read' }, { scope: 'mine' }, 'mine read'],
    ['the configured one', supported, { scope: 'mine yours' }, 'mine yours'],
    ['what the resource’s metadata lists', supported, {}, 'a b'],
  ])('is %s [scope.order]', async (_which, servers, o, expected) => {
    expect(sorted(await firstScope(servers, o))).toBe(expected)
  })

  it('is not sent when nobody names one, neither to the page nor to the token endpoint [scope.order]', async () => {
    expect(await firstScope({})).toBeNull()
    expect(world.user.visits[0]?.searchParams.has('scope')).toBe(false)
    expect(world.requests('token')[0]?.form?.has('scope')).toBe(false)
    expect(world.requests('register')[0]?.json).not.toHaveProperty('scope')
  })

  it('is never what the authorization server lists, nor openid, email or profile [scope.never-guessed]', async () => {
    expect(await firstScope({ asScopesSupported: ['openid', 'email', 'profile', 'api'] })).toBeNull()
    await world.stop()
    const offered = ['openid', 'email', 'profile', 'api', 'admin']
    expect(await firstScope({ asScopesSupported: offered, scopesSupported: ['api'] })).toBe('api')
  })
})

describe('the scope of one request or call', () => {
  beforeEach(async () => {
    world = await startWorld({ requireScope: 'read' })
  })

  it('is asked for besides what is granted, before the request is sent [scope.per-request]', async () => {
    const { api } = await signedIn(world)
    await api.get('/x', { oauth: { scope: 'write' } })
    expect(mainSteps(world)).toEqual(['authorize 302', 'token 200', 'api 200'])
    expect(scopeAsked(world)).toBe('read write')
  })

  it('is part of the first sign-in, which then comes before the request [scope.per-request]', async () => {
    await world.connect({ scope: 'read' }).api.get('/x', { oauth: { scope: 'write' } })
    expect(mainSteps(world)).toEqual(['authorize 302', 'token 200', 'api 200'])
    expect(sorted(scopeAsked(world))).toBe('read write')
  })

  it('costs nothing when it is granted already [scope.per-request]', async () => {
    const { api } = await signedIn(world)
    await api.get('/x', { oauth: { scope: 'read' } })
    expect(world.steps()).toEqual(['api 200'])
  })

  it('is asked for by authorize() besides what is granted [scope.per-request]', async () => {
    const { provider } = await signedIn(world)
    await provider.authorize({ scope: 'write' })
    expect(scopeAsked(world)).toBe('read write')
    expect((await provider.describe()).scope).toBe('read write')
  })

  it('is asked for once when the server grants less, by all requests together [scope.per-request] [step-up.budget]', async () => {
    const { api } = await signedIn(world)
    world.answer('token', withMembers({ scope: 'read' }))
    await api.get('/x', { oauth: { scope: 'write' } })
    await Promise.all([1, 2, 3].map((n) => api.get(`/${n}`, { oauth: { scope: 'write' } })))
    expect(world.user.visits).toHaveLength(2)
    expect(world.count('api')).toBe(4)
  })

  it('leads to a typed error where a step-up is not wanted, and the request is not sent [scope.per-request] [step-up.mode]', async () => {
    const { api } = await signedIn(world, { stepUp: 'throw' })
    expect(await rejectionOf(api.get('/x', { oauth: { scope: 'write' } }))).toMatchObject({
      code: 'OAUTH_SCOPE_DENIED',
      requiredScope: 'write',
    })
    expect(world.steps()).toEqual([])
  })

  it('beyond the ceiling is refused, and nobody is asked [scope.per-request] [scope.ceiling]', async () => {
    const { api, provider } = await signedIn(world, { scopeCeiling: 'read' })
    const denied = { name: 'OAuthScopeError', code: 'OAUTH_SCOPE_DENIED' }
    expect(await rejectionOf(api.get('/x', { oauth: { scope: 'write' } }))).toMatchObject(denied)
    expect(await rejectionOf(provider.authorize({ scope: 'write' }))).toMatchObject(denied)
    expect(world.count('api')).toBe(0)
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('scopeCeiling', () => {
  const ceiling = { scopeCeiling: 'read list' }

  it.each<[string, WorldOptions, ConnectOptions, string]>([
    ['a configured scope', {}, { scope: 'write read' }, 'read'],
    ['what the resource lists', { scopesSupported: ['admin', 'list', 'write', 'read'] }, {}, 'list read'],
    ['offline_access', { asScopesSupported: ['read', 'offline_access'] }, { scope: 'read' }, 'read'],
  ])('cuts %s [scope.ceiling]', async (_what, servers, o, expected) => {
    expect(sorted(await firstScope(servers, { ...o, ...ceiling }))).toBe(expected)
  })

  it('refuses a first challenge that needs more: nothing registered, no browser [scope.ceiling]', async () => {
    world = await startWorld({ requireScope: 'read admin' })
    const error = await rejectionOf(world.connect(ceiling).api.get(''))
    expect(error).toMatchObject({ name: 'OAuthScopeError', code: 'OAUTH_SCOPE_DENIED', requiredScope: 'read admin' })
    expect(world.count('register') + world.count('token')).toBe(0)
    expect(world.user.visits).toHaveLength(0)
  })

  it('refuses a step-up beyond it, and the present token stays in use [scope.ceiling] [LP-07]', async () => {
    world = await startWorld({ requireScope: 'read' })
    const { api } = await signedIn(world, ceiling)
    const error = await rejectionOf(api.get('/needs?scope=admin'))
    expect(error).toMatchObject({ code: 'OAUTH_SCOPE_DENIED', requiredScope: 'admin', response: { status: 403 } })
    await api.get('/x')
    expect(mainSteps(world)).toEqual(['api 403', 'api 200'])
    expect(world.user.visits).toHaveLength(1)
  })

  it('cuts the union of a step-up with what was granted before it was set [scope.ceiling]', async () => {
    world = await startWorld({ scopesSupported: ['read', 'write'] })
    const storage = new MemoryTokenStorage()
    await signedIn(world, { storage })
    await world.connect({ storage, ...ceiling }).api.get('/needs?scope=list')
    expect(sorted(scopeAsked(world))).toBe('list read')
  })
})

describe('the options', () => {
  it('are not changed, and two providers of one object stay apart [scope.config-unchanged]', async () => {
    world = await startWorld({ requireScope: 'read' })
    const metadata = { client_name: 'Spec', redirect_uris: [world.redirectUri], scope: 'read' }
    const options = world.options({ scope: 'mine', clientMetadata: metadata, authorizeParams: { audience: 'x' } })
    const before = { ...options, clientMetadata: structuredClone(metadata) }
    for (const value of [options, metadata, metadata.redirect_uris, options.authorizeParams]) Object.freeze(value)
    const [first, second] = [world.connect(options), world.connect(options)]
    await first.api.get('/needs?scope=write')
    await second.api.get('')
    expect(sorted(scopeAsked(world))).toBe('mine read')
    expect(options).toEqual(before)
    expect((await second.provider.describe()).scope).not.toContain('write')
  })
})

describe('the granted scope', () => {
  beforeEach(async () => {
    world = await startWorld({ scopesSupported: ['read', 'write'] })
  })

  it.each<[string, unknown, string]>([
    ['the requested one when the response has none', undefined, 'read write'],
    ['the requested one when the response has null', null, 'read write'],
    ['the requested one when the response has an empty one', '', 'read write'],
    ['the requested one when the response has no text', ['read'], 'read write'],
    ['a narrower one, as granted', 'read', 'read'],
    ['a list with commas', 'write,read', 'read write'],
    ['a list in any order and with duplicates', 'write read write', 'read write'],
  ])('is %s [scope.granted-recorded] [scope.lenient-format] [TK-21]', async (_which, scope, expected) => {
    world.answer('token', withMembers({ scope }))
    const { provider } = await signedIn(world)
    expect(sorted((await provider.describe()).scope ?? '')).toBe(expected)
  })

  it('makes no step-up for what it has, whatever the order in which it was written [scope.granted-recorded] [TK-19]', async () => {
    world.answer('token', withMembers({ scope: 'write,read' }))
    const { api } = await signedIn(world)
    world.answer('api', {
      status: 403,
      headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="read write"' },
    })
    await expect(api.get('/x')).rejects.toMatchObject({ status: 403 })
    expect(world.steps()).toEqual(['api 403'])
  })

  it('that is wider than requested is accepted, recorded and told [scope.wider-grant] [TK-20]', async () => {
    world.answer('token', withMembers({ scope: 'read write extra' }))
    const { api, provider } = world.connect()
    const told: OAuthEvents['authorized'][] = []
    provider.on('authorized', (event) => told.push(event))
    await api.get('')
    expect(told).toMatchObject([{ scope: 'read write extra', unasked: ['extra'] }])
    expect((await provider.describe()).scope).toBe('read write extra')
    await provider.authorize()
    expect(sorted(scopeAsked(world))).toBe('read write')
  })

  it('that exceeds the ceiling is refused, and its token is neither stored nor used [scope.wider-grant]', async () => {
    const storage = new MemoryTokenStorage()
    world.answer('token', withMembers({ scope: 'read admin' }))
    const { api, provider } = world.connect({ storage, scopeCeiling: 'read' })
    expect(await rejectionOf(api.get(''))).toMatchObject({
      name: 'OAuthScopeError',
      code: 'OAUTH_SCOPE_DENIED',
      phase: 'token',
    })
    expect(mainSteps(world)).toEqual(['api 401', 'authorize 302', 'token 200'])
    expect(await provider.describe()).toMatchObject({ session: 'none', scope: undefined })
    expect((await world.connect({ storage }).provider.describe()).session).toBe('none')
  })

  it('of a renewal that exceeds the ceiling ends the session, and the next sign-in keeps to the ceiling [scope.wider-grant]', async () => {
    const { api, provider } = await signedIn(world, { scopeCeiling: 'read' })
    world.expireTokens()
    world.answer('token', withMembers({ scope: 'read admin' }), { times: 1 })
    await api.get('/x')
    expect(mainSteps(world)).toEqual(['token 200', 'authorize 302', 'token 200', 'api 200'])
    expect(scopeAsked(world)).toBe('read')
    expect((await provider.describe()).scope).toBe('read')
    expect(world.reuseDetections).toBe(0)
  })
})

describe('offline_access', () => {
  const listed = { asScopesSupported: ['read', 'offline_access'] }

  it('is appended where the server lists it and a scope was selected [offline.added]', async () => {
    expect(await firstScope({ ...listed, scopesSupported: ['read'] })).toBe('read offline_access')
  })

  it('is appended once [offline.added]', async () => {
    expect(await firstScope(listed, { scope: 'offline_access read' })).toBe('offline_access read')
  })

  it('stays in a step-up [offline.added] [step-up.union]', async () => {
    world = await startWorld({ asScopesSupported: ['read', 'write', 'offline_access'], requireScope: 'read' })
    const { api } = await signedIn(world)
    await api.get('/needs?scope=write')
    expect(sorted(scopeAsked(world))).toBe('offline_access read write')
  })

  it.each<[string, WorldOptions, ConnectOptions, string | null]>([
    ['the server does not list it', { asScopesSupported: ['read'] }, { scope: 'read' }, 'read'],
    ['the server lists nothing', {}, { scope: 'read' }, 'read'],
    ['no scope was selected', listed, {}, null],
  ])('is not added when %s [offline.not-added]', async (_why, servers, o, expected) => {
    expect(await firstScope(servers, o)).toBe(expected)
  })

  it('is not added when the client does not renew [offline.not-added]', async () => {
    world = await startWorld(listed)
    const clientMetadata = { redirect_uris: [world.redirectUri], grant_types: ['authorization_code'] }
    await world.connect({ scope: 'read', clientMetadata }).api.get('')
    expect(scopeAsked(world)).toBe('read')
  })

  it.each([
    ['read', 'read'],
    ['read offline_access', 'read offline_access'],
  ])('of a static client that asks for %s is what it asks for [offline.not-added]', async (scope, expected) => {
    world = await startWorld(listed)
    await world.connect({ scope, clientInformation: world.addClient() }).api.get('')
    expect(scopeAsked(world)).toBe(expected)
  })

  it('that brings no refresh token is told by an event, and nothing fails [offline.reported]', async () => {
    world = await startWorld({ ...listed, refresh: false })
    const { api, provider } = world.connect({ scope: 'read' })
    const told: boolean[] = []
    provider.on('authorized', ({ refreshable }) => told.push(refreshable))
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(told).toEqual([false])
  })
})

import { createHash } from 'node:crypto'
import { clientCredentials } from 'axios-oauth2'
import { startWorld, withMembers, type Echo, type World, type WorldOptions } from './world'

// Positive controls: that the world other specs rely on is real, honest, and strict.

const signIn = ['authorize 302', 'token 200', 'api 200']
const coldStart = ['api 401', 'prm 200', 'as-metadata 200', 'register 201', ...signIn]

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

describe('a cold start', () => {
  it('goes through discovery, registration and sign-in to the answer', async () => {
    await start()
    const { data } = await world.connect().api.post<Echo>('/sub?a=1', 'text')
    expect(world.steps()).toEqual(coldStart)
    expect(world.order().slice(0, 2)).toEqual(['rs POST /mcp/sub', 'rs GET /.well-known/oauth-protected-resource/mcp'])
    expect(data).toMatchObject({
      method: 'POST',
      url: '/mcp/sub?a=1',
      body: Buffer.from('text').toString('base64'),
      sha256: createHash('sha256').update('text').digest('hex'),
    })
    expect(data.headers).not.toHaveProperty('authorization')
  })

  it.each<[string, WorldOptions, string[]]>([
    ['an issuer path', { issuerPath: '/tenant' }, coldStart],
    ['an API at the root', { path: '' }, coldStart],
    ['a path with slash and query', { path: '/mcp/?tenant=1' }, coldStart],
    ['no iss', { iss: false }, coldStart],
    ['an unlimited token', { expiresIn: null, refresh: false }, coldStart],
    ['scopes', { requireScope: 'read', scopesSupported: ['read'], asScopesSupported: ['read'] }, coldStart],
    ['basic authentication', { authMethods: ['client_secret_basic'] }, coldStart],
    ['authentication in the body', { authMethods: ['client_secret_post'] }, coldStart],
    ['a running clock', { clock: false }, coldStart],
    [
      'a legacy server with metadata',
      { legacy: 'metadata' },
      ['api 401', 'prm 404', 'prm 404', 'as-metadata 200', 'register 201', ...signIn],
    ],
    [
      'a legacy server without metadata',
      { legacy: 'endpoints' },
      ['api 401', 'prm 404', 'prm 404', 'as-metadata 404', 'openid 404', 'register 201', ...signIn],
    ],
  ])('works with %s', async (_name, o, steps) => {
    await start(o)
    await world.connect().api.get('')
    expect(world.steps()).toEqual(steps)
  })

  it('needs no registration for a client known beforehand, by metadata document, or for itself', async () => {
    await start({ registration: false, cimd: true })
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    await world.connect({ clientInformation }).api.get('')
    await world.connect({ clientMetadataUrl: 'https://client.example/oauth.json' }).api.get('')
    await world.connect({ clientInformation, grant: clientCredentials() }).api.get('')
    expect(world.count('register')).toBe(0)
    expect(world.count('api')).toBe(6)
  })
})

describe('the end of a token', () => {
  it('is renewed after a refusal, with rotation', async () => {
    await start()
    const { api } = world.connect()
    await api.get('')
    const before = world.liveAccessToken()
    world.forget()
    world.revokeAccessTokens()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
    expect(world.liveAccessToken()).not.toBe(before)
  })

  it('is known to a client that shares the clock', async () => {
    await start()
    const { api } = world.connect()
    await api.get('')
    world.forget()
    world.expireTokens()
    await api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('leads to the person when the session has ended', async () => {
    await start()
    const { api } = world.connect()
    await api.get('')
    world.forget()
    world.expireTokens()
    world.endSession()
    await api.get('')
    expect(world.steps()).toContain('token 400')
    expect(world.user.visits).toHaveLength(2)
  })
})

describe('world.user', () => {
  beforeEach(() => start())

  it('declines, and approves again', async () => {
    const { api } = world.connect()
    world.user.deny()
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED', oauthError: 'access_denied' })
    expect(world.count('token')).toBe(0)
    world.user.approve()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('leaves, until the wait is aborted', async () => {
    const ending = new AbortController()
    world.user.leave()
    const request = world.connect().provider.authorize({ signal: ending.signal })
    const gate = world.hold('authorize')
    await gate.arrived
    ending.abort()
    await expect(request).rejects.toThrow()
    expect(world.user.visits).toHaveLength(1)
  })

  it('waits before the page, and brings another callback', async () => {
    const gate = world.user.hold()
    world.user.rewrite((url) => url.replace('code=', 'kode='))
    const request = world.connect().api.get('')
    expect((await gate.arrived).origin).toBe(world.origin.as)
    expect(world.count('authorize')).toBe(0)
    gate.release()
    await expect(request).rejects.toMatchObject({ code: 'OAUTH_CALLBACK_INVALID' })
  })

  it('goes through a sign-in in two phases', async () => {
    const { provider, api } = world.connect({ interactive: false })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED' })
    const { url } = await provider.startAuthorization()
    await provider.finishAuthorization(await world.user.visit(url))
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
  })

  it('finds the way with a pushed request', async () => {
    const pushed_authorization_request_endpoint = `${world.issuer}/par`
    world.answer('as-metadata', withMembers({ pushed_authorization_request_endpoint }))
    await world.connect().api.get('')
    expect(world.steps()).toContain('par 201')
  })

  it('is left out of complete options', async () => {
    const { api } = world.connect({ ...world.options({ interactive: false }), scope: 'read' })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED' })
  })
})

describe('world.answer() and world.hold()', () => {
  beforeEach(() => start())

  it('gives limited answers first and in order, then the newest, then honest ones', async () => {
    const undo = [200, 201].map((status) => world.answer('api', { status }))
    for (const status of [202, 203])
      world.answer('api', { status }, { times: 1, when: ({ method }) => method === 'PUT' })
    const statuses: number[] = []
    for (const method of ['GET', 'PUT', 'PUT', 'PUT']) statuses.push((await fetch(world.serverUrl, { method })).status)
    for (const one of undo) one()
    statuses.push((await fetch(world.serverUrl)).status)
    expect(statuses).toEqual([201, 202, 203, 201, 401])
  })

  it('asks the honest server for an answer of its own', async () => {
    world.answer('api', async ({ url }, honest) => ({ ...(await honest()), body: { url } }))
    const response = await fetch(`${world.serverUrl}/x?y=1`)
    expect([response.status, await response.json()]).toEqual([401, { url: '/mcp/x?y=1' }])
  })

  it.each(['reset', 'truncate'] as const)('breaks off: %s', async (answering) => {
    world.answer('api', answering)
    await expect(fetch(world.serverUrl).then((response) => response.text())).rejects.toThrow()
    expect(world.journal[0]).toMatchObject({ status: 0 })
  })

  it('stops with answers and gates that never end', async () => {
    world.answer('api', 'hang', { times: 1 })
    world.answer('api', 'drip', { times: 1 })
    const requests = [1, 2, 3].map(() => fetch(world.serverUrl).then((response) => response.text()))
    const settled = Promise.allSettled(requests)
    const gate = world.hold('token')
    const held = Promise.allSettled([fetch(`${world.issuer}/token`, { method: 'POST' })])
    await gate.arrived
    await requests[2]
    await world.stop()
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
    await held
  })

  it('holds requests before they are answered', async () => {
    const gate = world.hold('api')
    const requests = [1, 2, 3].map(() => fetch(world.serverUrl))
    expect(await gate.arrivals(3)).toHaveLength(3)
    expect(world.steps()).toEqual(['api 0', 'api 0', 'api 0'])
    gate.release()
    await Promise.all(requests)
    expect(world.steps()).toEqual(['api 401', 'api 401', 'api 401'])
  })

  it('does not hide an answer that throws', async () => {
    const broken = await startWorld()
    broken.answer('api', () => {
      throw new RangeError('in the spec')
    })
    expect((await fetch(broken.serverUrl)).status).toBe(500)
    await expect(broken.stop()).rejects.toThrow(RangeError)
  })
})

import { MemoryTokenStorage, type OAuthFlowError } from 'axios-oauth2'
import { startWorld, withMembers, type ConnectOptions, type World, type WorldOptions } from './support/world'
import { failureOf } from './support/failure-of'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

async function attempt(o?: ConnectOptions): Promise<OAuthFlowError> {
  return failureOf(world.connect(o).api.get(''))
}

/** Nothing was registered, opened or posted. */
function expectOnlyDiscovery(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

describe('the issuer of a document', () => {
  it.each<[string, WorldOptions, (world: World) => string]>([
    ['another site', {}, ({ origin }) => origin.evil],
    ['another port', {}, ({ origin }) => origin.rs],
    ['the scheme in another case', {}, ({ issuer }) => issuer.replace('http', 'HTTP')],
    ['another name of the host', {}, ({ issuer }) => issuer.replace('127.0.0.1', 'localhost')],
    ['a path added', {}, ({ issuer }) => `${issuer}/x`],
    ['two slashes', {}, ({ issuer }) => `${issuer}//`],
    ['a dot segment', {}, ({ issuer }) => `${issuer}/.`],
    ['another tenant', { issuerPath: '/tenant2' }, ({ issuer }) => issuer.replace('tenant2', 'tenant1')],
    ['no tenant', { issuerPath: '/tenant2' }, ({ origin }) => origin.as],
    ['a slash behind a path', { issuerPath: '/t' }, ({ issuer }) => `${issuer}/`],
    ['a percent-encoded letter', { issuerPath: '/t' }, ({ issuer }) => issuer.replace('/t', '/%74')],
    ['a letter in another case', { issuerPath: '/t' }, ({ issuer }) => issuer.replace('/t', '/T')],
  ])(
    'is refused for %s [issuer.exact issuer.no-other-normalising issuer.raw-string AS-01 AS-02 AS-03 AS-06]',
    async (_name, o, other) => {
      await start(o)
      world.answer('as-metadata', withMembers({ issuer: other(world) }))
      const error = await attempt()
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_ISSUER_MISMATCH', retryable: false })
      expect(error.message).toContain(JSON.stringify(world.issuer))
      expect(error.message).toContain(JSON.stringify(other(world)))
      expect(`${error.message} ${error.hint}`).toContain('trustedIssuers')
      expectOnlyDiscovery()
    },
  )

  it('is shown beside the expected one, quoted and cut [issuer.error-shows-both]', async () => {
    await start()
    world.answer('as-metadata', withMembers({ issuer: `https://evil.example/\u202e\u0007${'x'.repeat(5000)}` }))
    const error = await attempt()
    expect(error.message).toContain(JSON.stringify(world.issuer))
    expect(error.message).toContain('"https://evil.example/')
    expect(error.message).toContain('trustedIssuers')
    expect(error.message.length).toBeLessThanOrEqual(1024)
    expect(error.message).not.toMatch(/[\p{Cc}\u202a-\u202e]/u)
  })

  it.each([42, 'no url at all', 'as.example', 'urn:issuer', 'https://', 'https://{tenant}/'])(
    'that is no URL is a typed error: %j [issuer.raw-string]',
    async (issuer) => {
      await start()
      world.answer('as-metadata', withMembers({ issuer }))
      world.answer('openid', withMembers({ issuer }))
      const error = await attempt({ trustedIssuers: [String(issuer)] })
      expect(error).toMatchObject({ name: 'OAuthDiscoveryError' })
      expectOnlyDiscovery()
    },
  )

  it('is compared with what was configured when the resource does not say [issuer.exact]', async () => {
    await start()
    world.answer('prm', { status: 404 })
    world.answer('as-metadata', withMembers({ issuer: world.origin.rs }))
    expect(await attempt({ issuer: world.issuer })).toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH' })
    expectOnlyDiscovery()
  })

  it.each<[string, string, string]>([
    ['in the resource metadata only', '/', ''],
    ['in its own metadata only', '', '/'],
    ['in both', '/', '/'],
  ])('may have a lone slash as path: %s [issuer.root-slash AS-02]', async (_name, listed, own) => {
    await start({ iss: false })
    world.answer('prm', withMembers({ authorization_servers: [world.issuer + listed] }))
    world.answer('as-metadata', withMembers({ issuer: world.issuer + own }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('with and without the slash is one server for what is stored [issuer.root-slash]', async () => {
    await start({ iss: false })
    const { api } = world.connect()
    await api.get('')
    world.forget()
    world.expireTokens()
    world.endSession()
    world.answer('prm', withMembers({ authorization_servers: [`${world.issuer}/`] }))
    world.answer('as-metadata', withMembers({ issuer: `${world.issuer}/` }))
    await api.get('')
    expect(world.count('register')).toBe(0)
    expect(world.count('authorize')).toBe(1)
    expect(world.count('api')).toBe(1)
  })

  it('may be a trusted one, exactly [issuer.trusted-list]', async () => {
    await start({ iss: false })
    world.answer('as-metadata', withMembers({ issuer: 'https://foreign.example/common' }))
    expect(await attempt({ trustedIssuers: ['https://foreign.example/Common'] })).toMatchObject({
      code: 'OAUTH_ISSUER_MISMATCH',
    })
    expectOnlyDiscovery()
    const { api, provider } = world.connect({
      trustedIssuers: ['https://foreign.example/common'],
      trustedEndpoints: [`${world.issuer}/authorize`],
    })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(await provider.describe()).toMatchObject({ issuer: 'https://foreign.example/common' })
    world.forget()
    world.expireTokens()
    await api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('does not let a server override what another one is trusted for: PKCE is promised by the document issuer [issuer.exact AS-07]', async () => {
    await start()
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }))
    expect(await attempt({ assumePkceSupport: [`${world.issuer}/`] })).toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED' })
    await expect(world.connect({ assumePkceSupport: [world.issuer] }).api.get('')).resolves.toMatchObject({
      status: 200,
    })
  })
})

describe('the endpoints of an issuer', () => {
  const moved = {
    token_endpoint: 'token',
    registration_endpoint: 'register',
    revocation_endpoint: 'revoke',
    pushed_authorization_request_endpoint: 'par',
  }
  const names = Object.keys(moved) as (keyof typeof moved)[]

  it.each(names)('may be on another host at first: %s [issuer.token-host-free AS-25 AS-42]', async (name) => {
    await start({ iss: false })
    world.answer('as-metadata', withMembers({ [name]: `${world.origin.evil}/${moved[name]}` }))
    const { api, provider } = world.connect()
    await api.get('').catch(() => undefined)
    await provider.signOut()
    expect(world.order()).toContain(`evil POST /${moved[name]}`)
  })

  it.each(names)('do not move to another host later: %s [issuer.token-host-free AS-21]', async (name) => {
    await start()
    const undo = world.answer('as-metadata', withMembers({ [name]: `${world.issuer}/${moved[name]}` }))
    const { api } = world.connect()
    await api.get('')
    undo()
    world.forget()
    world.expireTokens()
    world.endSession()
    world.answer('as-metadata', withMembers({ [name]: `${world.origin.evil}/${moved[name]}` }))
    expect(await failureOf(api.get(''))).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_AS_CHANGED' })
    expect(world.order().filter((line) => line.startsWith('evil'))).toEqual([])
    expect(world.user.visits).toHaveLength(1)
  })

  it('do not get the refresh token where they moved to [issuer.token-host-free AS-21]', async () => {
    await start()
    const { api } = world.connect()
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.origin.evil}/token` }))
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    const headers = { 'WWW-Authenticate': `Bearer resource_metadata="${world.origin.rs}/moved"` }
    world.answer('api', { status: 401, headers })
    expect(await failureOf(api.get(''))).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(world.count('token')).toBe(0)
  })

  it('may move on the origin of the issuer, and are followed [issuer.token-host-free AS-21]', async () => {
    await start()
    const { api } = world.connect()
    await api.get('')
    world.forget()
    world.expireTokens()
    world.endSession()
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.issuer}/oauth/token` }))
    await api.get('').catch(() => undefined)
    expect(world.order().at(-1)).toBe('as POST /oauth/token')
  })

  it('are told how to come back from a move that is genuine [issuer.token-host-free]', async () => {
    await start()
    const { api, provider } = world.connect()
    await api.get('')
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.origin.evil}/token` }))
    const error = await failureOf(provider.authorize())
    expect(error).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(error.hint).toContain('remove the session from the storage and sign in with a new provider')
    await world.connect({ storage: new MemoryTokenStorage() }).provider.authorize()
    expect(world.order().at(-1)).toBe('evil POST /token')
  })
})

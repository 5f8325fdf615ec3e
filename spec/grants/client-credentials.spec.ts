import { clientCredentials, type SilentGrant } from 'axios-oauth2'
import * as oauth4webapi from 'oauth4webapi'
import { failureOf } from '../support/failure-of'
import { startWorld, withMembers, type World } from '../support/world'

let world: World
beforeEach(async () => {
  world = await startWorld({ scopesSupported: ['read'] })
})
afterEach(() => world.stop())

const grantTypes = (): (string | null | undefined)[] =>
  world.requests('token').map(({ form }) => form?.get('grant_type'))

/** A machine that the world knows. */
function machine(o: Parameters<World['connect']>[0] = {}) {
  const { client_id, client_secret } = world.addClient()
  const clientInformation = { client_id, client_secret: client_secret! }
  return world.connect({ grant: clientCredentials(), clientInformation, interactive: false, ...o })
}

describe('clientCredentials()', () => {
  it('sends scope, resource and the client authentication, as oauth4webapi does, and asks nobody [cc.request]', async () => {
    const { api } = machine()
    expect((await api.get('')).status).toBe(200)
    const own = world.requests('token')[0]!
    expect(Object.fromEntries(own.form!)).toEqual({
      grant_type: 'client_credentials',
      scope: 'read',
      resource: world.serverUrl,
    })
    expect(world.count('register') + world.count('authorize')).toBe(0)
    const server = { issuer: world.issuer, token_endpoint: `${world.issuer}/token` }
    await oauth4webapi.clientCredentialsGrantRequest(
      server,
      { client_id: 'any' },
      oauth4webapi.ClientSecretBasic('any'),
      new URLSearchParams({ scope: 'read', resource: world.serverUrl }),
      { [oauth4webapi.allowInsecureRequests]: true },
    )
    const theirs = world.requests('token')[1]!
    expect(Object.fromEntries(own.form!)).toEqual(Object.fromEntries(theirs.form!))
  })

  it('does not register what nobody registered beforehand [cc.request] [DP-12]', async () => {
    const { api } = world.connect({ grant: clientCredentials(), interactive: false })
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED' })
    expect(world.count('register') + world.count('token')).toBe(0)
  })

  it('gets one new token for all whose token has expired or is refused [cc.renewal]', async () => {
    const { api } = machine()
    await api.get('')
    world.expireTokens()
    await Promise.all(Array.from({ length: 20 }, () => api.get('')))
    expect(world.count('token')).toBe(2)
    world.revokeAccessTokens()
    await Promise.all(Array.from({ length: 20 }, () => api.get('')))
    expect(world.count('token')).toBe(3)
  })

  it('asks for the union of scopes when more is needed [cc.renewal]', async () => {
    const { api } = machine()
    await api.get('')
    expect((await api.get('/needs?scope=write')).status).toBe(200)
    expect(world.requests('token')[1]!.form!.get('scope')!.split(' ').sort()).toEqual(['read', 'write'])
  })

  it('neither stores nor uses a refresh token that comes all the same [cc.renewal] [TK-45]', async () => {
    world.answer('token', withMembers({ refresh_token: 'unexpected-refresh-token' }))
    const { api, provider } = machine()
    await api.get('')
    expect(provider.context.currentTokens).not.toHaveProperty('refresh_token')
    world.expireTokens()
    await api.get('')
    expect(grantTypes()).toEqual(['client_credentials', 'client_credentials'])
  })

  describe('refused with invalid_client', () => {
    const refusal = { status: 401, body: { error: 'invalid_client' } }

    it('is one request and one error for a queue, remembered with a growing pause [DP-12]', async () => {
      const restore = world.answer('token', refusal)
      const { api } = machine()
      const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => api.get('')))
      for (const { reason } of outcomes as PromiseRejectedResult[]) {
        expect(reason).toMatchObject({
          code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
          oauthError: 'invalid_client',
          retryable: false,
        })
      }
      expect(world.count('token')).toBe(1)
      await expect(api.get('')).rejects.toMatchObject({ oauthError: 'invalid_client' })
      expect(world.count('token')).toBe(1)
      world.clock.advance(3_001)
      await expect(api.get('')).rejects.toMatchObject({ oauthError: 'invalid_client' })
      world.clock.advance(3_001)
      await expect(api.get('')).rejects.toMatchObject({ oauthError: 'invalid_client' })
      expect(world.count('token')).toBe(2)
      expect(world.count('register')).toBe(0)
      restore()
      world.clock.advance(3_001)
      expect((await api.get('')).status).toBe(200)
    })

    it('does not keep authorize() from trying [DP-12]', async () => {
      const restore = world.answer('token', refusal)
      const { provider } = machine()
      await expect(provider.getAccessToken()).rejects.toMatchObject({ oauthError: 'invalid_client' })
      restore()
      await provider.authorize()
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    })
  })

  it('keeps the session and says how long when the server is down [refresh.transient-keeps-session] [refresh.pause]', async () => {
    const { api, provider } = machine()
    await api.get('')
    world.expireTokens()
    const restore = world.answer('token', { status: 503, headers: { 'Retry-After': '30' } })
    const events: unknown[] = []
    provider.on('refreshFailed', (event) => events.push(event))
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true, retryAfter: 30_000 })
    expect(events).toMatchObject([{ code: 'OAUTH_TEMPORARY', retryAfter: 30_000 }])
    restore()
    world.clock.advance(29_000)
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY' })
    world.clock.advance(1_001)
    expect((await api.get('')).status).toBe(200)
  })

  it('does not hand a token of one resource to another that the metadata names by now [DP-15]', async () => {
    const { provider } = machine()
    const before = await provider.getAccessToken()
    world.answer('prm', withMembers({ resource: world.origin.rs }))
    world.clock.advance(48 * 3_600_000)
    expect(await provider.getAccessToken()).not.toBe(before)
    const resources = world.requests('token').map(({ form }) => form!.get('resource'))
    expect(resources).toEqual([world.serverUrl, world.origin.rs])
  })

  it.each([['client_secret' as const], ['none' as const]])(
    'is pinned to the server of its first use, as client with %s [static.pinned] [PR-52]',
    async (kind) => {
      world.answer('token', { body: { access_token: 'machine-token', token_type: 'Bearer', expires_in: 60 } })
      const clientInformation = {
        client_id: 'machine',
        ...(kind === 'none' ? {} : { client_secret: 'a machine secret' }),
      }
      const { provider } = world.connect({ grant: clientCredentials(), clientInformation })
      await provider.getAccessToken()
      world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
      world.clock.advance(48 * 3_600_000)
      await expect(provider.getAccessToken()).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
      expect(world.journal.filter(({ server, method }) => server === 'evil' && method === 'POST')).toEqual([])
    },
  )
})

describe('a grant of the user', () => {
  it('gets storage, single flight, renewal and replay like any other [grant.strategy]', async () => {
    const asked: unknown[] = []
    const own: SilentGrant = {
      kind: 'silent',
      name: 'own',
      parameters: ({ server, client, scope, context }) => {
        asked.push([server.issuer, client.client_id, scope, typeof context.http.send])
        return { grant_type: 'client_credentials', own: 'yes' }
      },
    }
    const { api, provider } = machine({ grant: own })
    await Promise.all([api.get(''), api.get('')])
    world.expireTokens()
    await api.get('')
    expect(world.requests('token').map(({ form }) => form!.get('own'))).toEqual(['yes', 'yes'])
    expect(asked[0]).toEqual([world.issuer, expect.any(String), 'read', 'function'])
    expect((await provider.describe()).grant).toBe('own')
  })

  it('that throws is a typed error without its message [errors.base] [SC-02]', async () => {
    const own: SilentGrant = {
      kind: 'silent',
      name: 'own',
      parameters: () => {
        throw new Error('password=hunter2')
      },
    }
    const { api } = machine({ grant: own })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    expect(JSON.stringify(error) + String(error.cause)).not.toContain('hunter2')
  })
})

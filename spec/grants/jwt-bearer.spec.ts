import { jwtBearer, type OAuthOptions } from 'axios-oauth2'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import { startWorld, type World } from '../support/world'

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const assertion = 'eyJhbGciOiJFUzI1NiJ9.workload-claims.signature'

let world: World
beforeEach(async () => {
  world = await startWorld({ scopesSupported: ['read'] })
})
afterEach(() => world.stop())

const workload = (o: Partial<OAuthOptions> = {}) =>
  world.connect({ grant: jwtBearer({ assertion }), clientInformation: { client_id: 'workload' }, ...o })

function tokens(...names: readonly string[]): void {
  for (const name of names) {
    world.answer('token', { body: { access_token: name, token_type: 'Bearer', expires_in: 600 } }, { times: 1 })
  }
}

describe('jwtBearer()', () => {
  it('sends the assertion with scope, resource and client_id of a public client [jwt-bearer.request] [wif.request]', async () => {
    tokens('workload-token')
    expect(await workload().provider.getAccessToken()).toBe('workload-token')
    expect(Object.fromEntries(world.requests('token')[0]!.form!)).toEqual({
      grant_type: grantType,
      assertion,
      scope: 'read',
      resource: world.serverUrl,
      client_id: 'workload',
    })
    expect(world.count('register') + world.count('authorize')).toBe(0)
  })

  it('authenticates the client as it is registered [jwt-bearer.request]', async () => {
    tokens('workload-token')
    await workload({
      clientInformation: { client_id: 'workload', client_secret: 'a secret' },
    }).provider.getAccessToken()
    const { form, headers } = world.requests('token')[0]!
    expect(headers.authorization).toMatch(/^Basic /)
    expect(form!.has('client_id')).toBe(false)
  })

  it('asks the function for each token and tells it the verified issuer [wif.request]', async () => {
    tokens('first', 'second')
    const asked: unknown[] = []
    const grant = jwtBearer({ assertion: async (o) => `assertion-${asked.push(o)}` })
    const { provider } = workload({ grant })
    await provider.getAccessToken()
    world.clock.advance(600_000)
    expect(await provider.getAccessToken()).toBe('second')
    expect(world.requests('token').map(({ form }) => form!.get('assertion'))).toEqual(['assertion-1', 'assertion-2'])
    expect(asked).toEqual([{ issuer: world.issuer }, { issuer: world.issuer }])
  })

  it('is refused once: no repetition, no other grant, no registration, no browser [wif.no-fallback]', async () => {
    world.answer('token', {
      status: 400,
      headers: { Date: new Date(world.clock.now()).toUTCString() },
      body: { error: 'invalid_grant', error_description: `the assertion ${assertion} has expired` },
    })
    const { api } = workload()
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({
      name: 'OAuthTokenError',
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      oauthError: 'invalid_grant',
      status: 400,
      retryable: false,
    })
    expect(error.hint).toContain(`must not have expired and must be made for the audience ${world.issuer}`)
    expect(rendered(error)).not.toContain('workload-claims')
    expect(world.requests('token').map(({ form }) => form!.get('grant_type'))).toEqual([grantType])
    expect(world.count('register') + world.count('authorize')).toBe(0)
  })

  it('leaves the stored session alone when a later assertion is refused [wif.no-fallback]', async () => {
    tokens('first')
    const { provider } = workload()
    await provider.getAccessToken()
    world.answer('token', { status: 400, body: { error: 'invalid_grant' } })
    await expect(provider.authorize()).rejects.toMatchObject({ oauthError: 'invalid_grant' })
    expect(await provider.getAccessToken()).toBe('first')
  })

  const failing: readonly (readonly [string, () => string | Promise<string>, object])[] = [
    [
      'throws',
      () => {
        throw new Error(`no ${assertion}`)
      },
      { code: 'OAUTH_TEMPORARY', retryable: true },
    ],
    ['rejects', () => Promise.reject(new Error(`no ${assertion}`)), { code: 'OAUTH_TEMPORARY', retryable: true }],
    ['hangs', () => new Promise(() => undefined), { code: 'OAUTH_TIMEOUT', retryable: true }],
    ['gives nothing', () => '', { code: 'OAUTH_TOKEN_INVALID', retryable: false }],
    ['gives something else', () => 7 as never, { code: 'OAUTH_TOKEN_INVALID', retryable: false }],
  ]
  it.each(failing)(
    'is a typed error when the function %s [CC-05] [concurrency.lock-freed]',
    async (_how, give, expected) => {
      const { provider } = workload({ grant: jwtBearer({ assertion: give }), requestTimeout: 200 })
      const error = await failureOf(provider.getAccessToken())
      expect(error).toMatchObject(expected)
      expect(rendered(error)).not.toContain('workload-claims')
      expect(world.count('token')).toBe(0)
    },
  )

  it.each([[undefined], [''], [7], [{}]])('refuses %j at construction', (value) => {
    expect(() => jwtBearer({ assertion: value as never })).toThrow(TypeError)
  })
})

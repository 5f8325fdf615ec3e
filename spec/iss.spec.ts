import { MemoryTokenStorage, type OAuthFlowError } from 'axios-oauth2'
import { pathOf, startWorld, withMembers, type ConnectOptions, type World, type WorldOptions } from './support/world'
import { failureOf } from './support/failure-of'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

/** The callback has this `iss`, or none. */
function comeBackWith(iss: string | undefined, more: Record<string, string> = {}): void {
  world.user.rewrite((callback) => {
    const url = new URL(callback)
    url.searchParams.delete('iss')
    if (iss !== undefined) url.searchParams.set('iss', iss)
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value)
    if ('error' in more) url.searchParams.delete('code')
    return url.href
  })
}

/** The sign-in is refused, the code stays here, and nobody is signed in. */
async function expectRefusal(o: ConnectOptions = {}): Promise<OAuthFlowError> {
  const { api, provider } = world.connect(o)
  const error = await failureOf(api.get(''))
  expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_ISSUER_MISMATCH', retryable: false })
  expect(world.count('token')).toBe(0)
  expect(await provider.describe()).toMatchObject({ session: 'none' })
  return error
}

const differences: readonly [string, (issuer: string) => string][] = [
  ['another site', () => 'https://evil.example'],
  ['the scheme in another case', (issuer) => issuer.replace('http', 'HTTP')],
  ['another name of the host', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
  ['a slash at the root', (issuer) => `${issuer}/`],
  ['a percent-encoded dot', (issuer) => issuer.replace('127.', '127%2E')],
  ['a blank', (issuer) => ` ${issuer}`],
  ['nothing', () => ''],
]

describe('iss in the callback', () => {
  it.each(differences)(
    'is compared exactly when it is advertised: %s [iss.present-compared iss.no-tolerance]',
    async (_name, change) => {
      await start()
      comeBackWith(change(world.issuer))
      const error = await expectRefusal()
      expect(error.message).toContain(JSON.stringify(change(world.issuer)))
      expect(error.message).toContain(JSON.stringify(world.issuer))
      expect(`${error.message} ${error.hint}`).toContain('trustedIssuers')
    },
  )

  it.each(differences)(
    'is compared exactly when it is not advertised: %s [iss.present-compared iss.no-tolerance AS-27]',
    async (_name, change) => {
      await start({ iss: false })
      world.answer('as-metadata', withMembers({ authorization_response_iss_parameter_supported: 'true' }))
      comeBackWith(change(world.issuer))
      await expectRefusal()
    },
  )

  it.each<[string, WorldOptions]>([
    ['advertised', {}],
    ['not advertised', { iss: false }],
  ])('that is the issuer is fine: %s [iss.present-compared AS-26]', async (_name, o) => {
    await start(o)
    comeBackWith(world.issuer)
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('is compared with the issuer as its document spells it [iss.no-tolerance AS-02]', async () => {
    await start()
    world.answer('as-metadata', withMembers({ issuer: `${world.issuer}/` }))
    await expectRefusal()
    comeBackWith(`${world.issuer}/`)
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('must be there when it is advertised, and the error says whose fault it is [iss.advertised-missing AS-26]', async () => {
    await start()
    comeBackWith(undefined)
    const error = await expectRefusal()
    expect(`${error.message} ${error.hint}`).toContain('authorization_response_iss_parameter_supported')
    expect(error.hint).toContain('authorization server')
  })

  it.each<[string, unknown]>([
    ['absent', undefined],
    ['false', false],
    ['a text', 'true'],
  ])('may be missing when it is not advertised: %s [iss.unadvertised-absent AS-27]', async (_name, advertised) => {
    await start({ iss: false })
    world.answer('as-metadata', withMembers({ authorization_response_iss_parameter_supported: advertised }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('may be a trusted one, exactly [iss.trusted-list]', async () => {
    await start()
    comeBackWith('https://sibling.example/as')
    await expectRefusal({ trustedIssuers: ['https://sibling.example/as/'] })
    const { api } = world.connect({ trustedIssuers: ['https://sibling.example/as'] })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each<[string, () => string | undefined]>([
    ['another issuer', () => 'https://evil.example'],
    ['none', () => undefined],
  ])('is checked before an error is believed: %s [iss.before-error]', async (_name, iss) => {
    await start()
    const text = 'your account is locked, call 555-0100'
    comeBackWith(iss(), {
      error: 'access_denied_by_evil',
      error_description: text,
      error_uri: 'https://evil.example/help',
    })
    const error = await expectRefusal()
    expect(error).toMatchObject({ oauthError: undefined, oauthErrorDescription: undefined })
    const shown = `${error.message} ${error.stack} ${JSON.stringify(error)} ${error.hint}`
    for (const part of ['access_denied_by_evil', '555-0100', '/help']) expect(shown).not.toContain(part)
  })

  it('is checked after the state, whose failure shows nothing of the callback either [iss.before-error]', async () => {
    await start()
    const { provider } = world.connect()
    await provider.startAuthorization()
    const callback = `${world.redirectUri}?state=forged&iss=https%3A%2F%2Fevil.example&error=access_denied_by_evil&error_description=call+555-0100`
    const error = await failureOf(provider.finishAuthorization(callback))
    expect(error).toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    const shown = `${error.message} ${error.stack} ${JSON.stringify(error)} ${error.hint}`
    for (const part of ['access_denied_by_evil', '555-0100', 'evil.example']) expect(shown).not.toContain(part)
  })
})

describe('a callback without iss', () => {
  beforeEach(() => start({ iss: false }))

  /** The authorization endpoint is on another host, which sends the person on to the honest one. */
  function authorizeElsewhere(): string {
    const endpoint = `${world.origin.evil}/authorize`
    world.answer('as-metadata', withMembers({ authorization_endpoint: endpoint }))
    world.answer(
      'authorize',
      ({ url }) => {
        const query = new URLSearchParams(url.slice(pathOf({ url }).length))
        const location = new URL(query.get('redirect_uri') ?? '')
        location.searchParams.set('code', 'code-of-somebody')
        location.searchParams.set('state', query.get('state') ?? '')
        return { status: 302, headers: { Location: location.href } }
      },
      { when: ({ server }) => server === 'evil' },
    )
    return endpoint
  }

  it('sends no code when the authorization endpoint is unrelated to issuer and token endpoint [mixup.host-rule]', async () => {
    const endpoint = authorizeElsewhere()
    const error = await expectRefusal()
    expect(error.message).toContain(new URL(endpoint).hostname)
    expect(`${error.message} ${error.hint}`).toContain('trustedEndpoints')
  })

  it('goes on when that endpoint is trusted, exactly [mixup.trusted-endpoints]', async () => {
    const endpoint = authorizeElsewhere()
    await expectRefusal({ trustedEndpoints: [`${endpoint}/`, new URL(endpoint).origin] })
    await world
      .connect({ trustedEndpoints: [endpoint] })
      .api.get('')
      .catch(() => undefined)
    expect(world.requests('token').map(({ form }) => form?.get('code'))).toEqual(['code-of-somebody'])
  })

  it('is not needed for an authorization endpoint elsewhere: a matching iss does [mixup.host-rule]', async () => {
    authorizeElsewhere()
    comeBackWith(world.issuer)
    await world
      .connect()
      .api.get('')
      .catch(() => undefined)
    expect(world.requests('token').map(({ server, form }) => [server, form?.get('code')])).toEqual([
      ['as', 'code-of-somebody'],
    ])
  })

  it('goes on when the token endpoint is on the host of the authorization endpoint, away from the issuer [mixup.host-rule]', async () => {
    authorizeElsewhere()
    const { evil } = world.origin
    const metadata = { authorization_endpoint: `${evil}/authorize`, token_endpoint: `${evil}/token` }
    world.answer('as-metadata', withMembers(metadata))
    await world
      .connect()
      .api.get('')
      .catch(() => undefined)
    expect(world.count('token')).toBe(1)
  })

  it('does not bring the code of an honest server to the one that sent the person there [mixup.host-rule AS-20]', async () => {
    const { evil, as } = world.origin
    const { client_id } = world.addClient({ token_endpoint_auth_method: 'none' })
    world.answer('prm', withMembers({ authorization_servers: [evil] }))
    world.answer(
      'as-metadata',
      withMembers({
        authorization_endpoint: `${as}/authorize`,
        authorization_response_iss_parameter_supported: undefined,
      }),
    )
    world.answer('register', { status: 201, body: { client_id, token_endpoint_auth_method: 'none' } })
    await expectRefusal()
    expect(world.requests('authorize').map(({ server }) => server)).toEqual(['as'])
    const code = world.secrets().filter((secret) => secret.startsWith('code-'))
    expect(code).toHaveLength(1)
    const told = world.journal.filter(({ server }) => server === 'evil')
    expect(told.map(({ endpoint }) => endpoint)).toEqual(['as-metadata', 'register'])
    expect(world.leaksIn(told)).toEqual([])
  })
})

describe('the token endpoint of a sign-in', () => {
  it('is the one recorded when the browser was opened, whatever was read since [mixup.token-endpoint-pinned]', async () => {
    await start()
    const { provider } = world.connect({ storage: new MemoryTokenStorage() })
    const first = await provider.startAuthorization()
    const callback = await world.user.visit(first.url)
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.issuer}/other/token` }))
    await provider.startAuthorization()
    await provider.finishAuthorization(callback)
    expect(world.order().filter((line) => line.includes('POST') && line.includes('token'))).toEqual(['as POST /token'])
  })

  it('never is one on another host that was read since [mixup.token-endpoint-pinned]', async () => {
    await start()
    const { provider } = world.connect()
    const first = await provider.startAuthorization()
    const callback = await world.user.visit(first.url)
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.origin.evil}/token` }))
    expect(await failureOf(provider.startAuthorization())).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    await provider.finishAuthorization(callback)
    expect(world.requests('token').map(({ server }) => server)).toEqual(['as'])
  })
})

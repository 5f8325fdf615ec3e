import {
  clientCredentials,
  MemoryTokenStorage,
  type AuthorizationServerMetadata,
  type OAuthClientProvider,
} from 'axios-oauth2'
import { startWorld, withMembers, type World, type WorldOptions } from './support/world'
import { failureOf } from './support/failure-of'

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

const signIn = ['register 201', 'authorize 302', 'token 200', 'api 200']

/** Changes what both documents of the issuer say. */
function say(members: Readonly<Record<string, unknown>>): void {
  world.answer('as-metadata', withMembers(members))
  world.answer('openid', withMembers(members))
}

/** Nothing was registered, opened or posted. */
function expectOnlyDiscovery(): void {
  expect(world.journal.filter(({ method }) => method !== 'GET')).toEqual([])
  expect(world.user.visits).toEqual([])
}

describe('the members of a document', () => {
  beforeEach(() => start())

  it('that are required are few: a machine needs no authorization endpoint [as-metadata.required-members]', async () => {
    say({ authorization_endpoint: undefined, registration_endpoint: undefined, response_types_supported: undefined })
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    await world.connect({ grant: clientCredentials(), clientInformation }).api.get('')
    expect(world.steps().slice(-2)).toEqual(['token 200', 'api 200'])
  })

  it('include an authorization endpoint where a person signs in [as-metadata.required-members]', async () => {
    say({ authorization_endpoint: undefined })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_DISCOVERY_FAILED' })
    expectOnlyDiscovery()
  })

  it('of OpenID may be missing or unknown [as-metadata.oidc-lenient]', async () => {
    world.answer('as-metadata', { status: 404 })
    world.answer(
      'openid',
      withMembers({
        response_types_supported: undefined,
        subject_types_supported: ['galactic'],
        id_token_signing_alg_values_supported: ['XX999'],
        grant_types_supported: ['authorization_code', 'refresh_token', 'urn:unheard:of'],
        token_endpoint_auth_methods_supported: ['none', 'telepathy'],
      }),
    )
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('that are null or of the wrong type count as absent [as-metadata.null-members PR-25]', async () => {
    const wrong = {
      scopes_supported: { 0: 'read', length: 1 },
      revocation_endpoint: null,
      pushed_authorization_request_endpoint: 7,
      require_pushed_authorization_requests: null,
      client_id_metadata_document_supported: 'true',
      grant_types_supported: 'authorization_code',
      response_types_supported: null,
      mtls_endpoint_aliases: ['x'],
      jwks_uri: null,
    }
    say(wrong)
    world.answer(
      'prm',
      withMembers({ scopes_supported: { 0: 'read', length: 1 }, resource_name: null, bearer_methods_supported: 5 }),
    )
    const { api, provider } = world.connect()
    await api.get('')
    expect(world.user.visits[0]?.searchParams.has('scope')).toBe(false)
    for (const name of Object.keys(wrong)) expect(provider.context.authorizationServerMetadata).not.toHaveProperty(name)
  })

  it('that nobody knows are kept, also through the storage [as-metadata.unknown-kept]', async () => {
    const storage = new MemoryTokenStorage()
    const extension = { 'x-acme': { deep: [1, { two: 'three' }] }, display_values_supported: ['page'] }
    say(extension)
    world.answer('prm', withMembers({ 'x-acme-resource': 5 }))
    const first = world.connect({ storage })
    await first.api.get('')
    const second = world.connect({ storage })
    await second.provider.describe()
    for (const { context } of [first.provider, second.provider] as OAuthClientProvider[]) {
      expect(context.authorizationServerMetadata).toMatchObject(extension)
      expect(context.protectedResourceMetadata).toMatchObject({ 'x-acme-resource': 5 })
    }
  })

  it('in an OpenID document count as in an OAuth document, after a restart too: iss [as-metadata.unknown-kept iss.advertised-missing]', async () => {
    world.answer('as-metadata', { status: 404 })
    const storage = new MemoryTokenStorage()
    const { url } = await world.connect({ storage, interactive: false }).provider.startAuthorization()
    const callback = new URL(await world.user.visit(url))
    callback.searchParams.delete('iss')
    const finish = world.connect({ storage, interactive: false }).provider.finishAuthorization(callback)
    expect(await failureOf(finish)).toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH' })
    expect(world.count('token')).toBe(0)
  })

  it.each<[string, Record<string, unknown>]>([
    ['without code', { response_types_supported: ['token', 'id_token'] }],
    ['empty', { response_types_supported: [] }],
  ])(
    'that rule the code flow out end it before anything is registered: %s [as-metadata.code-supported AS-28]',
    async (_name, members) => {
      say(members)
      expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_DISCOVERY_FAILED' })
      expectOnlyDiscovery()
    },
  )

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['plain', ['plain']],
    ['a text', 'S256'],
    ['of another case', ['s256']],
    ['empty', []],
  ])('must promise S256: %s [AS-07 AS-08 AS-09]', async (_name, code_challenge_methods_supported) => {
    say({ code_challenge_methods_supported })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED' })
    expectOnlyDiscovery()
  })

  it('have a mutual-TLS address that is not ours [AS-39]', async () => {
    say({ mtls_endpoint_aliases: { token_endpoint: `${world.origin.evil}/token` } })
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.order().filter((line) => line.startsWith('evil'))).toEqual([])
  })

  it.each<[string, Record<string, unknown>]>([
    ['missing', {}],
    ['of the wrong type', { pushed_authorization_request_endpoint: 7 }],
  ])('ask for pushed requests and have no endpoint for them: %s [AS-38]', async (_name, members) => {
    say({ require_pushed_authorization_requests: true, ...members })
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ name: expect.stringMatching(/^OAuth/) })
    expect(world.user.visits).toEqual([])
    expect(world.count('token')).toBe(0)
  })

  it('promise metadata documents as a text, which is no promise [AS-37]', async () => {
    say({ client_id_metadata_document_supported: 'true', registration_endpoint: undefined })
    const clientMetadataUrl = 'https://client.example/oauth.json'
    const error = await failureOf(world.connect({ clientMetadataUrl }).api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED' })
    expect(world.user.visits).toEqual([])
  })

  it('of one issuer may differ between two resources, which do not disturb each other [AS-41]', async () => {
    const storage = new MemoryTokenStorage()
    const first = world.connect({ storage })
    await first.api.get('')
    const { evil } = world.origin
    world.answer(
      'prm',
      { body: { resource: evil, authorization_servers: [world.issuer] } },
      { when: ({ server }) => server === 'evil' },
    )
    world.answer('as-metadata', withMembers({ token_endpoint: `${evil}/token` }))
    world.answer('api', { status: 401 }, { when: ({ server }) => server === 'evil' })
    world.answer('other', { status: 401 }, { when: ({ server }) => server === 'evil' })
    await world
      .connect({ storage, serverUrl: evil }, { baseURL: evil })
      .api.get('')
      .catch(() => undefined)
    expect(world.order()).toContain('evil POST /token')
    world.forget()
    world.expireTokens()
    await first.api.get('')
    await world.connect({ storage }).api.get('')
    expect(world.order()).toEqual(['as POST /token', 'rs GET /mcp', 'rs GET /mcp'])
  })
})

describe('authorizationServerMetadata', () => {
  beforeEach(() => start())

  function configured(members: Record<string, unknown> = {}): AuthorizationServerMetadata {
    const { issuer } = world
    const endpoints = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` }
    const registration_endpoint = `${issuer}/register`
    return { issuer, ...endpoints, registration_endpoint, code_challenge_methods_supported: ['S256'], ...members }
  }

  it('takes the place of every discovery [as-metadata.configured]', async () => {
    const { api } = world.connect({ authorizationServerMetadata: configured() })
    await api.get('')
    expect(world.steps()).toEqual(['api 401', ...signIn])
    expect(world.user.visits[0]?.searchParams.get('resource')).toBe(world.serverUrl)
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['PKCE', { code_challenge_methods_supported: undefined }, 'OAUTH_PKCE_UNSUPPORTED'],
    ['https', { token_endpoint: 'http://as.example.test/token' }, 'OAUTH_URL_FORBIDDEN'],
    ['scheme', { authorization_endpoint: 'javascript:alert(1)' }, 'OAUTH_URL_FORBIDDEN'],
    ['code', { response_types_supported: ['token'] }, 'OAUTH_DISCOVERY_FAILED'],
  ])('passes the same checks as a fetched document: %s [as-metadata.configured]', async (_name, members, code) => {
    const { api } = world.connect({ authorizationServerMetadata: configured(members) })
    expect(await failureOf(api.get(''))).toMatchObject({ code })
    expect(world.steps()).toEqual(['api 401'])
  })

  it.each(['as', 'http://as.example.test', 'https://as.example.test/?x', ''])(
    'has an issuer that can be one, or is refused at construction: %j [as-metadata.configured issuer.raw-string]',
    (issuer) => {
      expect(() => world.connect({ authorizationServerMetadata: configured({ issuer }) })).toThrow(TypeError)
    },
  )
})

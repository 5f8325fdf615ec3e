import {
  enterpriseManaged,
  MemoryTokenStorage,
  privateKeyJwt,
  type OAuthOptions,
  type TokenStorage,
} from 'axios-oauth2'
import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt } from 'jose'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import { pathOf, startWorld, withMembers, type Answering, type Entry, type World } from '../support/world'

const type = (name: string): string => `urn:ietf:params:oauth:token-type:${name}`
const idToken = 'the-id-token-of-the-employee'
const idJag = 'the-identity-assertion-authorization-grant'
const clientSecret = 'the-secret-at-the-authorization-server'
const idpSecret = 'the-secret-at-the-identity-provider'

let world: World
let exchanges: () => Entry[]
beforeEach(async () => {
  world = await startWorld({ scopesSupported: ['read'], authMethods: ['client_secret_basic'] })
  exchanges = () => world.requests('other').filter((entry) => pathOf(entry) === '/idp/token')
  idpAnswers({ body: { access_token: idJag, token_type: 'N_A', issued_token_type: type('id-jag'), expires_in: 60 } })
  world.answer('token', { body: { access_token: 'employee-token', token_type: 'Bearer', expires_in: 600 } })
})
afterEach(() => world.stop())

/** The third server of the world plays the identity provider. */
const idp = (): string => `${world.origin.evil}/idp`
function idpAnswers(answer: Answering): void {
  world.answer('other', answer, { when: (entry) => pathOf(entry) === '/idp/token' })
}

type Idp = Partial<Parameters<typeof enterpriseManaged>[0]['identityProvider']>

function employee(o: Idp = {}, options: Partial<OAuthOptions> = {}) {
  return world.connect({
    grant: enterpriseManaged({
      identityAssertion: () => idToken,
      identityProvider: {
        issuer: idp(),
        tokenEndpoint: `${idp()}/token`,
        clientId: 'desk',
        clientSecret: idpSecret,
        ...o,
      },
    }),
    clientInformation: { client_id: 'app', client_secret: clientSecret },
    ...options,
  })
}

const basic = ({ headers }: Entry): string => Buffer.from(headers.authorization!.slice(6), 'base64').toString()

describe('enterpriseManaged()', () => {
  it('exchanges the identity token at the provider and redeems the grant at the server [idjag.two-legs]', async () => {
    expect(await employee().provider.getAccessToken()).toBe('employee-token')
    const [first] = exchanges()
    expect(Object.fromEntries(first!.form!)).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: type('id-jag'),
      audience: world.issuer,
      resource: world.serverUrl,
      scope: 'read',
      subject_token: idToken,
      subject_token_type: type('id_token'),
    })
    expect(basic(first!)).toBe(`desk:${idpSecret}`)
    const [second] = world.requests('token')
    expect(Object.fromEntries(second!.form!)).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: idJag,
      scope: 'read',
      resource: world.serverUrl,
    })
    expect(basic(second!)).toBe(`app:${clientSecret}`)
  })

  it('shows no secret of one server to the other, and the grant to the redeeming server only [idjag.idp-from-config]', async () => {
    const { api } = employee()
    world.answer('api', {}, { when: ({ headers }) => headers.authorization === 'Bearer employee-token' })
    await api.get('')
    const seenBy = (server: string): string =>
      world.journal
        .filter((entry) => entry.server === server)
        .map((entry) => JSON.stringify(entry) + entry.body.toString())
        .join()
    const encoded = (secret: string): string => Buffer.from(`:${secret}`).toString('base64').slice(4, -4)
    for (const secret of [clientSecret, encoded(clientSecret)]) expect(seenBy('evil')).not.toContain(secret)
    for (const secret of [idToken, idpSecret, encoded(idpSecret)]) {
      expect(seenBy('as')).not.toContain(secret)
      expect(seenBy('rs')).not.toContain(secret)
    }
    expect(seenBy('rs')).not.toContain(idJag)
  })

  it('asks for no assertion before the issuer of the server is verified [idjag.verify-first]', async () => {
    let asked = 0
    const grant = enterpriseManaged({
      identityAssertion: () => (asked++, idToken),
      identityProvider: { issuer: idp(), tokenEndpoint: `${idp()}/token`, clientId: 'desk' },
    })
    world.answer('as-metadata', withMembers({ issuer: 'https://impostor.example' }))
    await expect(employee({}, { grant }).provider.getAccessToken()).rejects.toMatchObject({
      code: 'OAUTH_ISSUER_MISMATCH',
    })
    expect([asked, exchanges().length]).toEqual([0, 0])
  })

  it('is moved by nothing that the resource says [idjag.idp-from-config]', async () => {
    const bait = `${world.origin.rs}/bait`
    const baits = {
      token_exchange_endpoint: bait,
      identity_provider: bait,
      idp_token_endpoint: bait,
      tokenEndpoint: bait,
    }
    world.answer('prm', withMembers(baits))
    world.answer('as-metadata', withMembers(baits))
    await employee().provider.getAccessToken()
    expect(exchanges()).toHaveLength(1)
    expect(world.journal.filter(({ url }) => url.includes('bait'))).toEqual([])
  })

  it('renews by a new exchange, reads no metadata again and stores no ID-JAG [idjag.renewal]', async () => {
    const storage = new MemoryTokenStorage()
    const kept: string[] = []
    const watched: TokenStorage = {
      get: (name) => storage.get(name),
      set: (name, value, o) => (kept.push(value), storage.set(name, value, o)),
      delete: (name) => storage.delete(name),
    }
    const { api } = employee({}, { storage: watched })
    world.answer('api', {}, { when: ({ headers }) => headers.authorization === 'Bearer employee-token' })
    await api.get('')
    world.forget()
    world.answer(
      'token',
      { body: { access_token: 'employee-token-2', token_type: 'Bearer', expires_in: 600 } },
      { times: 1 },
    )
    world.answer('api', {}, { when: ({ headers }) => headers.authorization === 'Bearer employee-token-2' })
    world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } }, { times: 1 })
    await api.get('')
    expect(world.order()).toEqual(['rs GET /mcp', 'evil POST /idp/token', 'as POST /token', 'rs GET /mcp'])
    expect(kept.join()).not.toContain(idJag)
    expect(kept.join()).not.toContain(idToken)
    expect(kept.join()).toContain('employee-token-2')
  })

  it('finds the endpoint of the configured provider by its metadata, once [idjag.idp-from-config]', async () => {
    const metadata = {
      issuer: idp(),
      token_endpoint: `${idp()}/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    }
    const when = ({ server }: Entry): boolean => server === 'evil'
    world.answer('as-metadata', { body: metadata }, { when })
    const { tokenEndpoint: _unset, ...provider } = {
      issuer: idp(),
      tokenEndpoint: '',
      clientId: 'desk',
      clientSecret: idpSecret,
    }
    const grant = enterpriseManaged({ identityAssertion: () => idToken, identityProvider: provider })
    const { provider: client } = employee({}, { grant })
    await client.getAccessToken()
    await client.authorize()
    expect(world.requests('as-metadata').filter(when)).toHaveLength(1)
    expect(exchanges()).toHaveLength(2)
    expect(exchanges()[0]!.form!.get('client_secret')).toBe(idpSecret)
    expect(exchanges()[0]!.headers.authorization).toBeUndefined()
  })

  it('refuses provider metadata of another issuer, and sends the identity token nowhere [idjag.idp-from-config]', async () => {
    const metadata = { issuer: world.issuer, token_endpoint: `${world.issuer}/token` }
    world.answer('as-metadata', { body: metadata }, { when: ({ server }) => server === 'evil' })
    const grant = enterpriseManaged({
      identityAssertion: () => idToken,
      identityProvider: { issuer: idp(), clientId: 'desk' },
    })
    await expect(employee({}, { grant }).provider.getAccessToken()).rejects.toMatchObject({
      code: 'OAUTH_ISSUER_MISMATCH',
    })
    expect(world.journal.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('authenticates at the provider by a key where that is configured [idjag.two-legs]', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const private_key = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
    await employee({ clientAuthentication: privateKeyJwt({ private_key }) }).provider.getAccessToken()
    const { form, headers } = exchanges()[0]!
    expect(decodeJwt(form!.get('client_assertion')!)).toMatchObject({ iss: 'desk', sub: 'desk', aud: idp() })
    expect(headers.authorization).toBeUndefined()
  })

  const answers: readonly (readonly [string, Answering, object])[] = [
    [
      'an expired identity token',
      { status: 400, body: { error: 'invalid_grant', error_description: `expired ${idToken}` } },
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_grant', retryable: false },
    ],
    [
      'a company that does not allow it',
      { status: 403, body: { error: 'access_denied' } },
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'access_denied' },
    ],
    [
      'another token than an ID-JAG',
      { body: { access_token: idJag, token_type: 'Bearer', issued_token_type: type('access_token') } },
      { code: 'OAUTH_TOKEN_INVALID' },
    ],
    [
      'an outage of the provider',
      { status: 503, headers: { 'Retry-After': '5' } },
      { code: 'OAUTH_TEMPORARY', retryable: true, retryAfter: 5000 },
    ],
    ['a cut connection', 'reset', { code: 'OAUTH_TEMPORARY', retryable: true }],
    ['a redirect', { status: 307, headers: { Location: '/elsewhere' } }, { code: 'OAUTH_REDIRECT_REFUSED' }],
  ]
  it.each(answers)(
    'is a typed error after %s, without identity token or secret [idjag.two-legs] [SC-02]',
    async (_what, answer, expected) => {
      idpAnswers(answer)
      const error = await failureOf(employee().provider.getAccessToken())
      expect(error).toMatchObject({ name: 'OAuthTokenError', endpoint: `${idp()}/token`, ...expected })
      for (const secret of [idToken, idJag, idpSecret, clientSecret]) expect(rendered(error)).not.toContain(secret)
      expect(world.count('token')).toBe(0)
    },
  )

  const unusable: readonly (readonly [string, Idp])[] = [
    ['no issuer', { issuer: undefined as never }],
    ['an http issuer', { issuer: 'http://idp.example' }],
    ['an http token endpoint', { tokenEndpoint: 'http://idp.example/token' }],
    ['an empty client id', { clientId: '' }],
    ['an empty secret', { clientSecret: '' }],
  ]
  it.each(unusable)('is refused at construction with %s [registration.config-checked]', (_what, provider) => {
    expect(() => employee(provider)).toThrow(TypeError)
  })

  it('is refused at construction without a function for the identity token', () => {
    const identityProvider = { issuer: idp(), clientId: 'desk' }
    expect(() => enterpriseManaged({ identityAssertion: idToken as never, identityProvider })).toThrow(TypeError)
  })
})

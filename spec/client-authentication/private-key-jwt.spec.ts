import { generateKeyPairSync, sign } from 'node:crypto'
import { clientCredentials, oauth, privateKeyJwt, type ClientInformation, type OAuthOptions } from 'axios-oauth2'
import axios from 'axios'
import { decodeJwt, importSPKI, jwtVerify } from 'jose'
import * as oauth4webapi from 'oauth4webapi'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import { queryOf, startWorld, withMembers, type Entry, type World } from '../support/world'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
const spki = publicKey.export({ format: 'pem', type: 'spki' }) as string
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let world: World
beforeEach(async () => {
  world = await startWorld({ authMethods: ['private_key_jwt', 'client_secret_basic', 'none'] })
  world.answer('token', { body: { access_token: 'machine-token', token_type: 'Bearer', expires_in: 60 } })
})
afterEach(() => world.stop())

const key = { private_key: pem, token_endpoint_auth_method: 'private_key_jwt' } as const

function machine(information: Partial<ClientInformation> = key, options: Partial<OAuthOptions> = {}) {
  const clientInformation = { client_id: 'machine', ...information }
  return world.connect({ grant: clientCredentials(), clientInformation, ...options }).provider
}

const assertionOf = ({ form }: Entry): string => form?.get('client_assertion') ?? ''
const lastToken = (): Entry => world.requests('token').at(-1)!

describe('private_key_jwt', () => {
  it('sends an assertion for the issuer, which jose verifies, and nothing else that proves [client-auth.jwt] [DP-09]', async () => {
    world.answer('as-metadata', withMembers({ audience: 'https://bait.example', token_endpoint_auth_audience: 'x' }))
    await machine({ ...key, kid: 'key-1' }).getAccessToken()
    const { form, headers } = lastToken()
    expect(headers.authorization).toBeUndefined()
    expect([...form!.keys()].sort()).toEqual(
      ['client_assertion', 'client_assertion_type', 'client_id', 'grant_type', 'resource'].sort(),
    )
    expect(form!.get('client_assertion_type')).toBe(assertionType)
    const { payload, protectedHeader } = await jwtVerify(assertionOf(lastToken()), await importSPKI(spki, 'ES256'), {
      issuer: 'machine',
      subject: 'machine',
      currentDate: new Date(world.clock.now()),
    })
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'key-1' })
    expect(payload.aud).toBe(world.issuer)
    const now = Math.floor(world.clock.now() / 1000)
    expect(payload).toMatchObject({ iat: now, exp: now + 60 })
    expect(payload).not.toHaveProperty('nbf')
  })

  it('says what oauth4webapi says, apart from nbf and typ [client-auth.jwt] [DP-09]', async () => {
    await machine().getAccessToken()
    const own = lastToken().form!
    const cryptoKey = await crypto.subtle.importKey(
      'pkcs8',
      Buffer.from(pem.replace(/-.*-|\s/g, ''), 'base64'),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign'],
    )
    const server = { issuer: world.issuer, token_endpoint: `${world.issuer}/token` }
    await oauth4webapi.clientCredentialsGrantRequest(
      server,
      { client_id: 'machine' },
      oauth4webapi.PrivateKeyJwt(cryptoKey),
      new URLSearchParams({ resource: world.serverUrl }),
      { [oauth4webapi.allowInsecureRequests]: true },
    )
    const theirs = lastToken().form!
    expect([...own.keys()].sort()).toEqual([...theirs.keys()].sort())
    const shape = (form: URLSearchParams): readonly string[] =>
      Object.keys(decodeJwt(form.get('client_assertion')!)).sort()
    // Deliberate: an `nbf` makes a clock that is ahead fatal (THREATS CK-06).
    expect(shape(own)).toEqual(shape(theirs).filter((claim) => claim !== 'nbf'))
    const [ours, others] = [own, theirs].map((form) => decodeJwt(form.get('client_assertion')!))
    for (const claim of ['iss', 'sub', 'aud'] as const) expect(ours![claim]).toEqual(others![claim])
  })

  it('makes a fresh assertion per request, with a jti of 32 random bytes [client-auth.jwt] [DP-10]', async () => {
    const asked: number[] = []
    const random = (bytes: number): Uint8Array => (asked.push(bytes), crypto.getRandomValues(new Uint8Array(bytes)))
    const provider = machine(key, { random })
    await provider.getAccessToken()
    await provider.authorize()
    const [first, second] = world.requests('token').map((entry) => decodeJwt(assertionOf(entry)))
    expect(first!.jti).not.toBe(second!.jti)
    expect(asked).toContain(32)
  })

  it('repeats no jti in 10 000 assertions [DP-10]', async () => {
    const authenticate = privateKeyJwt({
      private_key: () => new Uint8Array(64),
      token_endpoint_auth_signing_alg: 'ES256',
    })
    const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes))
    const context = { client: { source: 'static', client_id: 'm' }, issuer: 'https://as', now: Date.now } as const
    const seen = new Set<unknown>()
    for (let count = 0; count < 10_000; count += 1) {
      const request = { url: '', headers: {}, body: new URLSearchParams() }
      await authenticate(request, { ...context, clockTolerance: 0, random })
      seen.add(decodeJwt(request.body.get('client_assertion')!).jti)
    }
    expect(seen.size).toBe(10_000)
  })

  it('dates back by clockTolerance and has no nbf, so that a clock that is ahead is tolerable [CK-06]', async () => {
    await machine(key, { clockTolerance: 300_000 }).getAccessToken()
    const now = Math.floor(world.clock.now() / 1000)
    const payload = decodeJwt(assertionOf(lastToken()))
    expect(payload).toMatchObject({ iat: now - 300, exp: now + 300 + 60 })
    expect(payload).not.toHaveProperty('nbf')
  })

  it('tells of a clock that is ten minutes off when the assertion is refused [CK-06]', async () => {
    const Date_ = new Date(world.clock.now() - 600_000).toUTCString()
    world.answer('token', { status: 401, headers: { Date: Date_ }, body: { error: 'invalid_client' } })
    const error = await failureOf(machine().getAccessToken())
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_client', retryable: false })
    expect(error.hint).toMatch(/600 s ahead of .*clockTolerance/)
    expect(rendered(error)).not.toContain(assertionOf(lastToken()))
  })

  it('is what an old server expects with assertion_audience [DP-09]', async () => {
    await machine({ ...key, assertion_audience: `${world.issuer}/token` }).getAccessToken()
    expect(decodeJwt(assertionOf(lastToken())).aud).toBe(`${world.issuer}/token`)
  })

  it('signs with the algorithm that the server lists, where the key leaves a choice [client-auth.jwt-keys]', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const rsaKey = { ...key, private_key: rsa.export({ format: 'pem', type: 'pkcs8' }) as string }
    world.answer('as-metadata', withMembers({ token_endpoint_auth_signing_alg_values_supported: ['PS256'] }))
    await machine(rsaKey).getAccessToken()
    expect(JSON.parse(atob(assertionOf(lastToken()).split('.')[0]!))).toMatchObject({ alg: 'PS256' })
  })

  it('lets a vault sign [client-auth.jwt-keys]', async () => {
    const vault = async (input: Uint8Array): Promise<Uint8Array> => sign('sha256', input, privateKey)
    await machine({ ...key, private_key: vault, token_endpoint_auth_signing_alg: 'ES256' }).getAccessToken()
    const currentDate = new Date(world.clock.now())
    await jwtVerify(assertionOf(lastToken()), await importSPKI(spki, 'ES256'), { currentDate })
  })

  it('is a typed error when the vault fails, of which nothing is shown [client-auth.jwt-keys]', async () => {
    const vault = (): never => {
      throw new Error(`vault secret ${pem}`)
    }
    const provider = machine({ ...key, private_key: vault, token_endpoint_auth_signing_alg: 'ES256' })
    const error = await failureOf(provider.getAccessToken())
    expect(error).toMatchObject({ name: 'OAuthTokenError', code: 'OAUTH_TEMPORARY', retryable: true })
    expect(rendered(error)).not.toContain('vault secret')
    expect(world.count('token')).toBe(0)
  })

  it('is a typed error when key or signature turn out to be damaged, and nothing is sent [SC-14]', async () => {
    const { d: _d, ...rest } = privateKey.export({ format: 'jwk' })
    const damaged = { ...rest, kty: 'EC', d: 'AAAAdamagedAAAA' }
    for (const private_key of [damaged, (): Uint8Array => new Uint8Array(3)]) {
      const provider = machine({ ...key, private_key, token_endpoint_auth_signing_alg: 'ES256' })
      const error = await failureOf(provider.getAccessToken())
      expect(error).toMatchObject({ name: 'OAuthRegistrationError', code: 'OAUTH_REGISTRATION_FAILED' })
      expect(error.hint).toMatch(/damaged/)
      expect(rendered(error)).not.toContain('AAAAdamagedAAAA')
    }
    expect(world.count('token')).toBe(0)
  })

  it('sends a ready-made assertion as it is, asked for once per request [client-auth.jwt-keys]', async () => {
    await machine({ client_assertion: 'ready.made.assertion' }).getAccessToken()
    expect(assertionOf(lastToken())).toBe('ready.made.assertion')
    const asked: unknown[] = []
    const platform = async (o: unknown): Promise<string> => `assertion.${asked.push(o)}`
    const provider = machine({ client_id: 'other', client_assertion: platform })
    await provider.getAccessToken()
    await provider.authorize()
    expect(world.requests('token').slice(-2).map(assertionOf)).toEqual(['assertion.1', 'assertion.2'])
    expect(asked[0]).toEqual({ issuer: world.issuer, client_id: 'other' })
  })

  const methods: readonly (readonly [string, Partial<ClientInformation>, readonly string[], string])[] = [
    [
      'the strongest that is listed',
      { private_key: pem, client_secret: 's' },
      ['client_secret_basic', 'private_key_jwt'],
      'jwt',
    ],
    ['the only one that is listed', { private_key: pem, client_secret: 's' }, ['client_secret_basic'], 'basic'],
    ['the registered one', { ...key, client_secret: 's' }, ['client_secret_basic'], 'jwt'],
    [
      'the registered one',
      { private_key: pem, client_secret: 's', token_endpoint_auth_method: 'client_secret_post' },
      ['private_key_jwt'],
      'post',
    ],
  ]
  it.each(methods)(
    'uses one method when secret and key are configured: %s [DP-14] [client-auth.one-method]',
    async (_which, information, listed, expected) => {
      world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: listed }))
      await machine(information).getAccessToken()
      const { form, headers } = lastToken()
      const used = {
        basic: headers.authorization !== undefined,
        jwt: form!.has('client_assertion') || form!.has('client_assertion_type'),
        post: form!.has('client_secret'),
      }
      expect(Object.entries(used).filter(([, present]) => present)).toEqual([[expected, true]])
    },
  )

  describe('of a client that signs people in', () => {
    it('authenticates code exchange, refresh, pushed request and revocation alike [client-auth.everywhere]', async () => {
      world.answer('as-metadata', withMembers({ pushed_authorization_request_endpoint: `${world.issuer}/par` }))
      // The world looks at `client_id` only.
      const client = world.addClient({ token_endpoint_auth_method: 'none' })
      const refreshable = { access_token: 'a-token', token_type: 'Bearer', expires_in: 60, refresh_token: 'to-refresh' }
      world.answer('token', { body: refreshable })
      const { provider } = world.connect({ clientInformation: { ...client, ...key } })
      await provider.authorize()
      world.clock.advance(60_000)
      await provider.getAccessToken()
      await provider.signOut()
      const entries = [...world.requests('par'), ...world.requests('token'), ...world.requests('revoke')]
      expect(entries.map(({ endpoint, form }) => `${endpoint} ${form?.get('grant_type') ?? ''}`)).toEqual([
        'par ',
        'token authorization_code',
        'token refresh_token',
        'revoke ',
        'revoke ',
      ])
      const claims = entries.map((entry) => decodeJwt(assertionOf(entry)))
      expect(new Set(claims.map(({ jti }) => jti)).size).toBe(entries.length)
      expect(claims.every(({ aud }) => aud === world.issuer)).toBe(true)
    })

    it('belongs to a metadata document when clientKey is configured, and nothing is registered [cimd.no-secret]', async () => {
      const clientMetadataUrl = 'https://client.example/metadata.json'
      world.answer('as-metadata', withMembers({ client_id_metadata_document_supported: true }))
      // The world's person follows the URL to a client that this world does not know.
      world.answer('authorize', ({ url }) => {
        const { state, redirect_uri } = Object.fromEntries(queryOf({ url }))
        const Location = `${redirect_uri}?${new URLSearchParams({ code: 'a-code', state: state!, iss: world.issuer })}`
        return { status: 302, headers: { Location } }
      })
      const { provider } = world.connect({ clientMetadataUrl, clientKey: { private_key: pem } })
      await provider.authorize()
      const { form } = lastToken()
      expect(decodeJwt(form!.get('client_assertion')!)).toMatchObject({ iss: clientMetadataUrl, aud: world.issuer })
      expect(world.count('register')).toBe(0)
    })

    it('belongs to a dynamic registration with the public key when clientKey is configured [client-auth.registered-wins]', async () => {
      const jwks = { keys: [publicKey.export({ format: 'jwk' })] }
      const redirect_uris = [world.redirectUri]
      const { provider } = world.connect({
        clientMetadata: { redirect_uris, token_endpoint_auth_method: 'private_key_jwt', jwks },
        clientKey: { private_key: pem },
      })
      await provider.authorize()
      expect(world.requests('register')[0]!.json).toMatchObject({ token_endpoint_auth_method: 'private_key_jwt', jwks })
      const claims = decodeJwt(assertionOf(lastToken()))
      expect(claims.iss).toBe(provider.context.clientInformation?.client_id)
    })
  })

  const wrong: readonly (readonly [string, Partial<OAuthOptions>])[] = [
    [
      'a key that does not fit',
      { clientInformation: { client_id: 'c', private_key: pem, token_endpoint_auth_signing_alg: 'RS256' } },
    ],
    ['key and assertion', { clientInformation: { client_id: 'c', private_key: pem, client_assertion: 'a' } }],
    ['an empty assertion', { clientInformation: { client_id: 'c', client_assertion: '' } }],
    ['an empty audience', { clientInformation: { client_id: 'c', private_key: pem, assertion_audience: '' } }],
    ['a clientKey without key', { clientKey: {} }],
    ['a PEM as clientKey', { clientKey: pem as never }],
    ['a PEM as clientInformation', { clientInformation: pem as never }],
    ['a key in two places', { clientInformation: { client_id: 'c' }, clientKey: { private_key: pem } }],
  ]
  it.each(wrong)('is refused at construction with %s, and shows nothing of it [DP-11] [SC-14]', (_what, options) => {
    const construct = (): unknown =>
      oauth(axios.create(), { serverUrl: 'https://api.example', grant: clientCredentials(), ...options })
    expect(construct).toThrow(TypeError)
    try {
      construct()
    } catch (error) {
      expect(rendered(error)).not.toContain(pem.slice(30, 60))
    }
  })
})

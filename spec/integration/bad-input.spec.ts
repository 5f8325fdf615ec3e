import axios, { type AxiosInstance } from 'axios'
import {
  clientCredentials,
  enterpriseManaged,
  jwtBearer,
  MemoryTokenStorage,
  oauth,
  tokenExchange,
  type Grant,
  type OAuthClientProvider,
  type OAuthOptions,
} from 'axios-oauth2'
import { generateKeyPairSync } from 'node:crypto'
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, type JWK } from 'jose'
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider'
import { rendered } from '../support/renderings'
import { scriptedReceiver, startStack, type Stack } from '../support/servers/start'

// What is wrong on our side or on theirs: each a typed error with a hint, without a secret, and the session stays. An
// expired device code is in device-code.spec.ts.

jest.setTimeout(30_000)

const minutes = 60_000
const grants = [
  'client_credentials',
  ...['jwt-bearer', 'token-exchange'].map((g) => `urn:ietf:params:oauth:grant-type:${g}`),
]
const app = { client_id: 'app', client_secret: 'a secret of the app' } as const
const subjectTokenType = 'urn:ietf:params:oauth:token-type:id_token'

let idp: IdentityProvider
let stack: Stack
let key: JWK
let storage: MemoryTokenStorage
let ahead: number

beforeAll(async () => {
  idp = await startIdentityProvider()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  key = { ...(await exportJWK(privateKey)), kid: 'k' }
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] }
  const common = { grant_types: grants, redirect_uris: [], response_types: [] }
  const signing = { ...common, client_id: 'signing', token_endpoint_auth_method: 'private_key_jwt', jwks }
  stack = await startStack({
    mcp: false,
    api: { dpop: 'optional' },
    authorizationServer: {
      trustedIssuers: { [idp.issuer]: idp.jwks },
      clients: [{ ...common, ...app }, signing],
    },
  })
})
afterAll(async () => {
  await idp?.stop()
  await stack?.stop()
})
beforeEach(async () => {
  storage = new MemoryTokenStorage()
  ahead = 0
  await stack.authorizationServer.control.post('/faults/clear')
  await stack.authorizationServer.control.reset()
})

function connect(o: OAuthOptions): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  return { api, provider: oauth(api, { storage, now: () => Date.now() + ahead, ...o }) }
}

const counters = (): ReturnType<Stack['api']['control']['counters']> => stack.authorizationServer.control.counters()
const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )

/** The token from before still opens the API, here and after a restart, and nobody was asked for another. */
async function sessionSurvives(o: OAuthOptions, api: AxiosInstance): Promise<void> {
  await stack.authorizationServer.control.reset()
  expect((await api.get('/notes')).status).toBe(200)
  expect((await connect(o).api.get('/notes')).status).toBe(200)
  expect(await counters()).toMatchObject({ tokenRequests: {}, authorizationRequests: 0, registrations: 0 })
}

describe('a key of the wrong type', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const weak = rsa.export({ type: 'pkcs8', format: 'pem' }) as string
  const wrong: readonly (readonly [string, () => Promise<object>])[] = [
    ['a public key', async () => ({ private_key: (await generateKeyPair('ES256')).publicKey })],
    ['a public PEM', async () => ({ private_key: await exportSPKI((await generateKeyPair('ES256')).publicKey) })],
    [
      'RSA where ES256 is wanted',
      async () => ({ private_key: await pemOf('RS256'), token_endpoint_auth_signing_alg: 'ES256' }),
    ],
    ['RSA with 1024 bits', () => Promise.resolve({ private_key: weak })],
    ['a shared secret', () => Promise.resolve({ private_key: { kty: 'oct', k: 'c2VjcmV0LXNlY3JldA' } })],
    ['text that is no key', () => Promise.resolve({ private_key: 'secret-secret-secret' })],
  ]
  it.each(wrong)(
    '(%s) is refused at construction, and shows nothing of it [DP-11] [client-auth.jwt-keys]',
    async (_what, make) => {
      const members = await make()
      const construct = (): unknown =>
        connect({
          grant: clientCredentials(),
          clientInformation: { client_id: 'signing', token_endpoint_auth_method: 'private_key_jwt', ...members },
        })
      let reason: unknown
      try {
        construct()
      } catch (error) {
        reason = error
      }
      expect(reason).toBeInstanceOf(TypeError)
      expect(rendered(reason)).toMatch(/private_key/)
      expect(rendered(reason)).not.toMatch(/c2VjcmV0|secret-secret|MII|MFkw/)
      expect(await stack.authorizationServer.control.journal()).toEqual([])
    },
  )

  it('that fits but is not the registered one is a typed error with a hint, asked once [client-auth.jwt]', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const pem = await exportPKCS8(privateKey)
    const { api } = connect(signing({ private_key: pem, kid: 'k' }))
    const error = await reasonOf(Promise.all([api.get('/notes'), api.get('/notes')]))
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', hint: expect.stringContaining('registered') })
    expect(rendered(error)).not.toMatch(/eyJ/)
    expect((await counters()).tokenRequests).toEqual({ client_credentials: 1 })
  })
})

describe('an assertion that has expired', () => {
  let expiresIn: number
  beforeEach(() => {
    expiresIn = 300
  })
  const at = (aud: string): Promise<string> => idp.sign({ aud }, { expiresIn })
  const kinds: readonly (readonly [string, () => Grant])[] = [
    ['jwtBearer()', () => jwtBearer({ assertion: ({ issuer }) => at(issuer) })],
    ['tokenExchange()', () => tokenExchange({ subjectToken: ({ issuer }) => at(issuer), subjectTokenType })],
    [
      'enterpriseManaged()',
      () =>
        enterpriseManaged({
          identityAssertion: () => at(idp.client.clientId),
          identityProvider: { issuer: idp.issuer, ...idp.client },
        }),
    ],
  ]
  it.each(kinds)(
    'in %s is a typed error with a hint, quoted nowhere though the server quotes it; the session survives [wif.no-fallback] [SC-02]',
    async (_what, makeGrant) => {
      const o = { grant: makeGrant(), clientInformation: app }
      const { api, provider } = connect(o)
      await api.get('/notes')
      expiresIn = -60
      const error = await reasonOf(provider.authorize())
      expect(error).toMatchObject({
        name: 'OAuthTokenError',
        code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
        oauthError: 'invalid_grant',
        retryable: false,
        hint: expect.stringContaining('expired'),
      })
      expect(rendered(error)).not.toMatch(/eyJ/)
      expect(rendered(error)).not.toContain(app.client_secret)
      await sessionSurvives(o, api)
    },
  )
})

describe('a server that answers Bearer to a DPoP request', () => {
  it('is refused when DPoP is required, its token is used nowhere, and the session goes on [dpop.required] [TK-03] [SC-02]', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const o = { receiver: scriptedReceiver(), dpop: { required: true, keyPair: { privateKey, publicKey } } }
    // Four seconds behind at first: the pause after the failure is over when the clock is right.
    ahead = -4_000
    const { api } = connect(o)
    await api.get('/notes')
    await stack.api.control.post('/reject-seen')
    await stack.api.control.reset()
    const body = { access_token: 'a-bearer-token-of-theirs', token_type: 'Bearer', refresh_token: 'another-of-theirs' }
    await stack.authorizationServer.control.fault({ path: '/token', kind: 'respond', status: 200, body, times: 9 })
    const error = await reasonOf(api.get('/notes'))
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_INVALID', hint: expect.stringMatching(/\w/) })
    expect(rendered(error)).not.toMatch(/of-theirs|eyJ/)
    const sent = (await stack.api.control.journal()).map(({ authorization }) => authorization)
    expect(sent.filter((scheme) => scheme?.toLowerCase() === 'bearer')).toEqual([])
    await stack.authorizationServer.control.post('/faults/clear')
    await stack.authorizationServer.control.reset()
    ahead = 0
    expect((await api.get('/notes')).status).toBe(200)
    expect((await counters()).tokenRequests).toEqual({ refresh_token: 1 })
  })
})

describe('a clock that is ten minutes off', () => {
  it('that is behind is named when signed assertions are refused; the session survives and the right clock goes on [CK-06]', async () => {
    const o = signing({ private_key: key as { kty: string } })
    const { api, provider } = connect(o)
    await api.get('/notes')
    ahead = -10 * minutes
    const error = await reasonOf(provider.authorize())
    expect(error).toMatchObject({
      name: 'OAuthTokenError',
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      hint: expect.stringMatching(/(599|600|601) s behind/),
    })
    expect(rendered(error)).not.toMatch(/eyJ/)
    ahead = 0
    await sessionSurvives(o, api)
    await provider.authorize()
  })

  it('that is ahead does not matter to a server that goes by exp, since there is no nbf [CK-06]', async () => {
    ahead = 10 * minutes
    expect((await connect(signing({ private_key: key as { kty: string } })).api.get('/notes')).status).toBe(200)
  })
})

describe.each([
  ['ahead of', 10 * minutes],
  ['behind', -10 * minutes],
])('a clock ten minutes %s the servers', (direction, difference) => {
  const told = expect.stringMatching(new RegExp(`(599|600|601) s ${direction}`))

  it('is named when proofs are refused; the refresh token is still good afterwards [CK-07] [refresh.transient-keeps-session]', async () => {
    const keyPair = await generateKeyPair('ES256')
    const o = { receiver: scriptedReceiver(), dpop: { required: true, keyPair } }
    const { api, provider } = connect(o)
    await api.get('/notes')
    ahead = difference
    await stack.api.control.post('/reject-seen')
    const error = await reasonOf(api.get('/notes'))
    const { hint, cause } = error as { hint?: string; cause?: { hint?: string } }
    expect(hint ?? cause?.hint).toEqual(told)
    expect(rendered(error)).not.toMatch(/eyJ/)
    expect((await counters()).authorizationRequests).toBe(1)
    ahead = 0
    await expect(provider.describe()).resolves.toMatchObject({ refreshable: true })
    expect((await api.get('/notes')).status).toBe(200)
    expect((await counters()).tokensIssued).toEqual({ authorization_code: 1, refresh_token: 1 })
  })

  it('harms nobody who only has a bearer token and a refresh token [lifetime.clock]', async () => {
    const { api } = connect({ receiver: scriptedReceiver() })
    ahead = difference
    await api.get('/notes')
    await stack.api.control.post('/reject-seen')
    expect((await api.get('/notes')).status).toBe(200)
    expect((await counters()).tokensIssued).toEqual({ authorization_code: 1, refresh_token: 1 })
  })
})

function signing(members: object): OAuthOptions {
  const clientInformation = { client_id: 'signing', token_endpoint_auth_method: 'private_key_jwt', ...members }
  return { grant: clientCredentials(), clientInformation }
}

async function pemOf(alg: string): Promise<string> {
  return exportPKCS8((await generateKeyPair(alg, { extractable: true })).privateKey)
}

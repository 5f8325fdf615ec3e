import axios, { type AxiosInstance } from 'axios'
import { clientCredentials, MemoryTokenStorage, oauth, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { decodeJwt, exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { scriptedReceiver, startServer, startStack, type JournalEntry, type Stack } from '../support/servers/start'

// Machines at the certified server and an API that verifies JWTs with jose: every way to authenticate that both know.

jest.setTimeout(30_000)

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const secret = 'a secret: of+the % machine'
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA'] as const

let stack: Stack
let keys: ReadonlyMap<string, Awaited<ReturnType<typeof generateKeyPair>>>
let ahead: number

beforeAll(async () => {
  keys = new Map(
    await Promise.all(algorithms.map(async (alg) => [alg, await generateKeyPair(alg, { extractable: true })] as const)),
  )
  const signing = [...keys].map(async ([alg, { publicKey }]) => ({
    ...machine,
    client_id: `signs ${alg}`,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg, use: 'sig' }] },
  }))
  const shared = ['client_secret_basic', 'client_secret_post'].map((method) => ({
    ...machine,
    client_id: method,
    client_secret: secret,
    token_endpoint_auth_method: method,
  }))
  const clients = [...shared, ...(await Promise.all(signing))]
  // Without a scope in the challenge a machine asks for what it is configured with.
  stack = await startStack({ mcp: false, authorizationServer: { clients }, api: { challengeScope: '' } })
})
afterAll(() => stack?.stop())
beforeEach(async () => {
  ahead = 0
  await stack.authorizationServer.control.reset()
  await stack.api.control.reset()
})

function connect(
  clientInformation: OAuthOptions['clientInformation'],
  o: Partial<OAuthOptions> = {},
): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const provider = oauth(api, {
    grant: clientCredentials(),
    ...(clientInformation === undefined ? {} : { clientInformation }),
    scope: 'notes:read',
    now: () => Date.now() + ahead,
    ...o,
  })
  return { api, provider }
}

const basic = { client_id: 'client_secret_basic', client_secret: secret } as const
const counters = (): ReturnType<Stack['api']['control']['counters']> => stack.authorizationServer.control.counters()
const tokenRequests = async (): Promise<JournalEntry[]> =>
  (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')

describe('client_credentials at oidc-provider', () => {
  it.each([
    ['client_secret_basic', ['grant_type', 'resource', 'scope'], 'Basic'],
    ['client_secret_post', ['client_id', 'client_secret', 'grant_type', 'resource', 'scope'], undefined],
  ])('by %s gets a token that the API verifies [cc.request] [DP-13] [DP-14]', async (method, form, scheme) => {
    const clientInformation = { client_id: method, client_secret: secret, token_endpoint_auth_method: method }
    const { api } = connect(clientInformation)
    expect((await api.get<object>('/whoami')).data).toMatchObject({ client_id: method, scope: 'notes:read' })
    const [request] = await tokenRequests()
    expect([[...(request?.form ?? [])].sort(), request?.authorization]).toEqual([form, scheme])
    expect(await counters()).toMatchObject({ authorizationRequests: 0, registrations: 0 })
  })

  it.each(algorithms)(
    'by private_key_jwt signed with %s gets one too, whatever form the key has [client-auth.jwt] [client-auth.jwt-keys]',
    async (alg) => {
      const { privateKey } = keys.get(alg)!
      const jwk = { ...(await exportJWK(privateKey)), kid: 'k' } as { kty: string }
      for (const private_key of [privateKey, jwk, await exportPKCS8(privateKey)]) {
        const { api } = connect({
          client_id: `signs ${alg}`,
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: alg,
          private_key,
        })
        expect((await api.get<object>('/whoami')).data).toMatchObject({ client_id: `signs ${alg}` })
      }
      expect((await counters()).tokensIssued).toEqual({ client_credentials: 3 })
      expect((await tokenRequests()).map(({ authorization }) => authorization)).toEqual(Array(3).fill(undefined))
    },
  )

  it('asks once for 20 callers whose token has expired, round after round [cc.renewal] [concurrency.one-refresh]', async () => {
    const { api } = connect(basic)
    await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect((await counters()).tokenRequests).toEqual({ client_credentials: 1 })
    for (const round of [2, 3]) {
      ahead += 300_000
      const answers = await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
      expect((await counters()).tokenRequests).toEqual({ client_credentials: round })
    }
  })

  it('asks once for 20 callers whose token is refused [cc.renewal]', async () => {
    const { api } = connect(basic)
    await api.get('/notes')
    await stack.api.control.post('/reject-seen')
    await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect((await counters()).tokenRequests).toEqual({ client_credentials: 2 })
  })

  it('gets more scope for what needs it, keeping what it has [cc.renewal] [step-up.union]', async () => {
    const { api } = connect(basic)
    await api.get('/notes')
    const answers = await Promise.all([api.get('/admin'), api.get('/admin'), api.post('/notes', {})])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 201])
    const { scope } = (await api.get<{ scope: string }>('/whoami')).data
    expect(scope.split(' ').sort()).toEqual(['notes:admin', 'notes:read', 'notes:write'])
    expect((await tokenRequests()).every(({ status }) => status === 200)).toBe(true)
    expect((await counters()).tokenRequests.client_credentials).toBeLessThanOrEqual(3)
  })

  it('passes authorization_details on (RFC 9396 §2) with tokenParams [cc.request]', async () => {
    const details = JSON.stringify([{ type: 'notes' }])
    await connect(basic, { tokenParams: { authorization_details: details } }).api.get('/notes')
    expect((await tokenRequests())[0]!.form).toContain('authorization_details')
  })
})

describe('a token restricted to one resource', () => {
  let other: Awaited<ReturnType<typeof startServer<'protected-api'>>>
  beforeAll(async () => {
    const { issuer } = stack.authorizationServer.urls
    other = await startServer('protected-api', { issuer })
    await stack.authorizationServer.control.post('/resources', { resource: other.urls.resource })
  })
  afterAll(() => other?.stop())

  it('is asked for by its name and names it as its audience [resource.everywhere] [resource.verbatim]', async () => {
    const { provider } = connect(basic)
    const { aud, iss } = decodeJwt(await provider.getAccessToken())
    expect([aud, iss]).toEqual([stack.api.urls.resource, stack.authorizationServer.urls.issuer])
    expect((await tokenRequests())[0]!.values).toMatchObject({ resource: stack.api.urls.resource })
  })

  it('is refused by another API; a provider for that one gets its own, from the same storage too [DP-15] [storage.key]', async () => {
    const storage = new MemoryTokenStorage()
    const token = await connect(basic, { storage }).provider.getAccessToken()
    const headers = { Authorization: `Bearer ${token}` }
    const foreign = axios.get(`${other.urls.api}/notes`, { headers, proxy: false })
    await expect(foreign).rejects.toMatchObject({
      response: { status: 401, data: { error_description: 'the aud of the token is wrong' } },
    })
    const instance = axios.create({ baseURL: other.urls.api, proxy: false })
    oauth(instance, { storage, grant: clientCredentials(), clientInformation: basic, scope: 'notes:read' })
    expect((await instance.get('/notes')).status).toBe(200)
    const seen = (await other.control.journal()).flatMap(({ token: sent, status }) => (sent ? [[sent, status]] : []))
    expect(seen.map(([, status]) => status)).toEqual([401, 200])
    expect(seen[0]![0]).not.toBe(seen[1]![0])
  })

  it('is asked for a resource that the server does not know in vain: a typed error, once for all [errors.oauth-fields]', async () => {
    const { api } = connect(basic, { resource: 'https://unknown.example/' })
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => api.get('/notes')))
    for (const result of results) {
      expect(result).toMatchObject({ reason: { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_target' } })
    }
    expect((await counters()).tokenRequests).toEqual({ client_credentials: 1 })
  })
})

describe('an authorization server that requires pushed requests', () => {
  let strict: Stack
  beforeAll(async () => {
    strict = await startStack({ mcp: false, authorizationServer: { par: 'required' } })
  })
  afterAll(() => strict?.stop())

  it('gets everything in the back channel: the URL has client_id and request_uri only [authz-url.par-required]', async () => {
    const urls: string[] = []
    const receiver = scriptedReceiver()
    const api = axios.create({ baseURL: strict.api.urls.api, proxy: false })
    oauth(api, {
      authorizeParams: { authorization_details: JSON.stringify([{ type: 'notes' }]) },
      receiver: {
        ...receiver,
        open: async (o) => {
          const session = await receiver.open(o)
          return { ...session, redirectHandler: (url) => (urls.push(url), session.redirectHandler(url)) }
        },
      },
    })
    expect((await api.get('/notes')).status).toBe(200)
    const journal = await strict.authorizationServer.control.journal()
    const [pushed] = journal.filter(({ path }) => path === '/request')
    expect(pushed).toMatchObject({ status: 201, values: { resource: strict.api.urls.resource } })
    expect(pushed!.form).toEqual(
      expect.arrayContaining(['client_id', 'code_challenge', 'redirect_uri', 'state', 'authorization_details']),
    )
    expect(urls.map((url) => [...new URL(url).searchParams.keys()].sort())).toEqual([['client_id', 'request_uri']])
    expect((await strict.authorizationServer.control.counters()).tokensIssued).toEqual({ authorization_code: 1 })
  })

  it('costs nothing when it fails: a typed error, nobody is sent anywhere, the next sign-in works [authz-url.par-required]', async () => {
    const api = axios.create({ baseURL: strict.api.urls.api, proxy: false })
    const provider = oauth(api, { receiver: scriptedReceiver() })
    await strict.authorizationServer.control.reset()
    await strict.authorizationServer.control.fault({ path: '/request', kind: 'respond', status: 503, times: 1 })
    await expect(provider.authorize()).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    expect((await strict.authorizationServer.control.counters()).authorizationRequests).toBe(0)
    await provider.authorize()
    expect((await api.get('/notes')).status).toBe(200)
  })
})

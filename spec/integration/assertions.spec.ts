import axios, { type AxiosInstance } from 'axios'
import {
  enterpriseManaged,
  jwtBearer,
  oauth,
  tokenExchange,
  type Grant,
  type OAuthClientProvider,
  type OAuthOptions,
} from 'axios-oauth2'
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider'
import { startStack, type JournalEntry, type Stack } from '../support/servers/start'

// Assertions that a company's identity provider has really signed, verified at oidc-provider, and an API that verifies
// what comes of it.

jest.setTimeout(30_000)

const grants = ['jwt-bearer', 'token-exchange'].map((name) => `urn:ietf:params:oauth:grant-type:${name}`)
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const app = { client_id: 'app', client_secret: 'a secret of the app' } as const

let idp: IdentityProvider
let stack: Stack
let ahead: number

beforeAll(async () => {
  idp = await startIdentityProvider()
  const common = { grant_types: grants, redirect_uris: [], response_types: [] }
  stack = await startStack({
    mcp: false,
    api: { challengeScope: '' },
    authorizationServer: {
      trustedIssuers: { [idp.issuer]: idp.jwks },
      clients: [
        { ...common, ...app },
        { ...common, client_id: 'workload', token_endpoint_auth_method: 'none' },
        { ...common, client_id: 'other', client_secret: 'a secret of the other' },
      ],
    },
  })
})
afterAll(async () => {
  await idp?.stop()
  await stack?.stop()
})
beforeEach(async () => {
  ahead = 0
  await stack.authorizationServer.control.reset()
})

function connect(
  grant: Grant,
  clientInformation: NonNullable<OAuthOptions['clientInformation']>,
): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const now = (): number => Date.now() + ahead
  return { api, provider: oauth(api, { grant, clientInformation, scope: 'notes:read', now }) }
}

const issuer = (): string => stack.authorizationServer.urls.issuer
const tokenRequests = async (): Promise<JournalEntry[]> =>
  (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')
const whoami = async (api: AxiosInstance): Promise<object> => (await api.get<object>('/whoami')).data

describe('jwtBearer() at oidc-provider', () => {
  it('is a workload without a secret: its token of the platform becomes one of the API, anew when that expires [wif.request] [jwt-bearer.request]', async () => {
    const told: string[] = []
    const assertion = ({ issuer: aud }: { readonly issuer: string }): Promise<string> => {
      told.push(aud)
      return idp.sign({ aud, sub: 'job-7' })
    }
    const { api } = connect(jwtBearer({ assertion }), { client_id: 'workload' })
    expect(await whoami(api)).toMatchObject({ sub: 'job-7', client_id: 'workload', scope: 'notes:read' })
    ahead = 300_000
    await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect(told).toEqual([issuer(), issuer()])
    expect((await tokenRequests()).map(({ status, authorization }) => [status, authorization])).toEqual([
      [200, undefined],
      [200, undefined],
    ])
  })

  it('gets more scope for what needs it, by the same grant [step-up.union] [wif.no-fallback]', async () => {
    const { api } = connect(jwtBearer({ assertion: await idp.sign({ aud: issuer() }) }), app)
    await api.get('/notes')
    expect((await api.get('/admin')).status).toBe(200)
    expect((await tokenRequests()).map(({ values }) => values?.grant_type)).toEqual([grants[0], grants[0]])
  })

  it('that is refused is one request and no other grant; nobody is asked and nothing registered [wif.no-fallback]', async () => {
    const { api } = connect(jwtBearer({ assertion: await idp.sign({ aud: 'https://other.example' }) }), app)
    await expect(api.get('/notes')).rejects.toMatchObject({
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      oauthError: 'invalid_grant',
      hint: expect.stringContaining(issuer()),
    })
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      tokenRequests: { [grants[0]!]: 1 },
      authorizationRequests: 0,
      registrations: 0,
    })
  })
})

describe('tokenExchange() at oidc-provider', () => {
  it('makes a token of elsewhere one of the API, for who it stands for [exchange.request]', async () => {
    const subjectToken = ({ issuer: aud }: { readonly issuer: string }): Promise<string> =>
      idp.sign({ aud, sub: 'bob', scope: 'notes:read notes:write' })
    const { api } = connect(tokenExchange({ subjectToken, subjectTokenType: idTokenType }), app)
    expect((await api.get<{ owner: string }>('/notes')).data.owner).toBe('bob')
    const [request] = await tokenRequests()
    expect([...(request?.form ?? [])].sort()).toEqual([
      'grant_type',
      'requested_token_type',
      'resource',
      'scope',
      'subject_token',
      'subject_token_type',
    ])
    expect(request).toMatchObject({ authorization: 'Basic', values: { resource: stack.api.urls.resource } })
  })
})

describe('enterpriseManaged() between an identity provider and oidc-provider', () => {
  const employee = (sub = 'alice') =>
    enterpriseManaged({
      identityAssertion: () => idp.sign({ aud: idp.client.clientId, sub }),
      identityProvider: { issuer: idp.issuer, ...idp.client },
    })

  it('opens the API to an employee whom the company lets in [idjag.two-legs] [idjag.verify-first]', async () => {
    const before = idp.exchanges.length
    const { api } = connect(employee(), app)
    expect(await whoami(api)).toMatchObject({ sub: 'alice', client_id: 'app', scope: 'notes:read' })
    const [exchange] = idp.exchanges.slice(before)
    expect(Object.fromEntries(exchange!)).toMatchObject({
      audience: issuer(),
      resource: stack.api.urls.resource,
      scope: 'notes:read',
    })
    const [request] = await tokenRequests()
    expect(request).toMatchObject({ status: 200, authorization: 'Basic', values: { grant_type: grants[0] } })
  })

  it('starts again from the identity assertion when the token expires, once for all [idjag.renewal]', async () => {
    const { api } = connect(employee(), app)
    await api.get('/notes')
    const before = idp.exchanges.length
    ahead = 300_000
    await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect([idp.exchanges.length - before, (await tokenRequests()).length]).toEqual([1, 2])
  })

  it('is refused at the resource when the grant is for another client, without any other way [idjag.two-legs]', async () => {
    const { api } = connect(employee(), { client_id: 'other', client_secret: 'a secret of the other' })
    await expect(api.get('/notes')).rejects.toMatchObject({ oauthError: 'invalid_grant' })
    expect((await tokenRequests()).map(({ status }) => status)).toEqual([400])
  })
})

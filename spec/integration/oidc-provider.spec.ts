import axios, { type AxiosInstance } from 'axios'
import { MemoryTokenStorage, oauth, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { scriptedReceiver, startStack, UserAgent, type JournalEntry, type Stack } from '../support/servers/start'

// Against the certified server: two refreshes of one token at the same time would revoke the whole grant.

jest.setTimeout(30_000)

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ mcp: false })
})
afterAll(() => stack.stop())
beforeEach(() => stack.authorizationServer.control.reset().then(() => stack.api.control.reset()))

let ahead = 0
beforeEach(() => {
  ahead = 0
})

function connect(o: Partial<OAuthOptions> = {}): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const provider = oauth(api, {
    clientMetadata: { client_name: 'Spec' },
    receiver: scriptedReceiver(),
    now: () => Date.now() + ahead,
    ...o,
  })
  return { api, provider }
}

const counters = (): ReturnType<typeof stack.authorizationServer.control.counters> =>
  stack.authorizationServer.control.counters()
const paths = (journal: readonly JournalEntry[]): string[] =>
  journal.map(({ method, path, status }) => `${method} ${path} ${status}`)

describe('the plugin against oidc-provider', () => {
  it('goes from nothing to an answer: 401, discovery, registration, sign-in, token, answer [attach.no-token-yet] [replay.once]', async () => {
    const { api, provider } = connect()
    const { data } = await api.get<{ owner: string }>('/notes')
    expect(data.owner).toBe('alice')
    expect(paths(await stack.api.control.journal())).toEqual([
      'GET /api/notes 401',
      'GET /.well-known/oauth-protected-resource/api 200',
      'GET /api/notes 200',
    ])
    expect(await counters()).toMatchObject({
      registrations: 1,
      authorizationRequests: 1,
      tokenRequests: { authorization_code: 1 },
      tokensIssued: { authorization_code: 1 },
    })
    await expect(provider.describe()).resolves.toMatchObject({
      session: 'valid',
      issuer: stack.authorizationServer.urls.issuer,
      resource: stack.api.urls.resource,
      clientSource: 'dynamic',
    })
  })

  it('renews once for 20 calls across an expiry, and no reuse is detected, five times over [concurrency.one-refresh]', async () => {
    const { api } = connect()
    await api.get('/notes')
    for (let round = 1; round <= 5; round += 1) {
      ahead += 300_000
      const answers = await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
      expect(await counters()).toMatchObject({
        tokenRequests: { authorization_code: 1, refresh_token: round },
        reuseDetected: 0,
        grantsRevoked: 0,
      })
    }
  })

  it('renews once for 20 calls that are all refused, each sent twice at most [concurrency.one-refresh] [replay.once]', async () => {
    const { api } = connect()
    await api.get('/notes')
    await stack.api.control.post('/reject-seen')
    await stack.api.control.reset()
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(await counters()).toMatchObject({ tokenRequests: { refresh_token: 1 }, reuseDetected: 0 })
    const statuses = (await stack.api.control.journal()).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(20)
    expect(statuses.length).toBeLessThanOrEqual(40)
  })

  it('survives the loss of a renewal’s request: the same refresh token is good the next time [refresh.transient-keeps-session]', async () => {
    const { api } = connect()
    await api.get('/notes')
    ahead += 300_000
    await stack.authorizationServer.control.fault({ path: '/token', method: 'POST', kind: 'drop', times: 1 })
    await expect(api.get('/notes')).resolves.toMatchObject({ status: 200 })
    expect(await counters()).toMatchObject({ authorizationRequests: 1, reuseDetected: 0 })
  })

  it('steps up once for what needs more, keeping what was granted [step-up.union]', async () => {
    const { api, provider } = connect()
    await api.get('/notes')
    await expect(api.get('/admin')).resolves.toMatchObject({ status: 200 })
    expect(await counters()).toMatchObject({
      authorizationRequests: 2,
      registrations: 1,
      tokenRequests: { authorization_code: 2 },
    })
    const { scope = '' } = await provider.describe()
    expect(scope.split(' ')).toEqual(expect.arrayContaining(['notes:read', 'notes:write', 'notes:admin']))
    await Promise.all([api.get('/admin'), api.get('/notes')])
    expect((await counters()).authorizationRequests).toBe(2)
  })

  it('signs out with revocation, and signs in again with the same registration [grant.revoke] [storage.sign-out]', async () => {
    const { api, provider } = connect()
    await api.get('/notes')
    await provider.signOut()
    expect(await counters()).toMatchObject({ revocationRequests: 2 })
    await expect(provider.describe()).resolves.toMatchObject({ session: 'none', refreshable: false })
    await api.get('/notes')
    expect(await counters()).toMatchObject({ authorizationRequests: 2, registrations: 1 })
  })

  it('goes on after a restart with a stored session, without discovery, registration and person [prm.cached] [storage.one-record]', async () => {
    const storage = new MemoryTokenStorage()
    const first = connect({ storage })
    await first.api.get('/notes')
    first.provider.detach()
    await stack.authorizationServer.control.reset()
    await stack.api.control.reset()
    const second = connect({ storage })
    await second.api.get('/notes')
    expect(paths(await stack.api.control.journal())).toEqual(['GET /api/notes 200'])
    expect(await stack.authorizationServer.control.journal()).toEqual([])
    ahead += 300_000
    const third = connect({ storage })
    await third.api.get('/notes')
    expect(paths(await stack.authorizationServer.control.journal())).toEqual(['POST /token 200'])
    expect(await counters()).toMatchObject({ tokenRequests: { refresh_token: 1 }, reuseDetected: 0 })
  })

  it('lets another process finish what one began [txn.record]', async () => {
    const storage = new MemoryTokenStorage()
    const redirect_uris = ['http://127.0.0.1:49152/callback']
    const make = (): ReturnType<typeof connect> => {
      const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
      return { api, provider: oauth(api, { storage, clientMetadata: { client_name: 'Web', redirect_uris } }) }
    }
    const { url } = await make().provider.startAuthorization()
    const callback = await new UserAgent().authorize(url)
    const { api, provider } = make()
    await provider.finishAuthorization(callback)
    await expect(api.get('/notes')).resolves.toMatchObject({ status: 200 })
    await expect(provider.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    expect(await counters()).toMatchObject({ tokenRequests: { authorization_code: 1 } })
  })

  it('rejects with the server’s reason when the person declines [errors.oauth-fields] [errors.request-rejects]', async () => {
    const { api } = connect({ authorizeParams: { login_hint: 'deny' } })
    await expect(api.get('/notes')).rejects.toMatchObject({
      code: 'OAUTH_AUTHORIZATION_DENIED',
      oauthError: 'access_denied',
      response: { status: 401 },
    })
    expect(await counters()).toMatchObject({ tokenRequests: {} })
  })
})

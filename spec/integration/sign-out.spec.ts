import axios, { type AxiosInstance } from 'axios'
import { MemoryTokenStorage, oauth, type OAuthClientProvider, type OAuthEvents, type OAuthOptions } from 'axios-oauth2'
import { scriptedReceiver, startStack, type Fault, type Stack } from '../support/servers/start'

// Sign-out at oidc-provider: the tokens are revoked where that works, and gone from here in any case.

jest.setTimeout(30_000)

const revocation = '/token/revocation'
let stack: Stack
let storage: MemoryTokenStorage

beforeAll(async () => {
  stack = await startStack({ mcp: false })
})
afterAll(() => stack?.stop())
beforeEach(async () => {
  storage = new MemoryTokenStorage()
  await stack.authorizationServer.control.post('/faults/clear')
  await stack.authorizationServer.control.reset()
})

function connect(o: Partial<OAuthOptions> = {}): {
  api: AxiosInstance
  provider: OAuthClientProvider
  events: OAuthEvents['signedOut'][]
} {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const provider = oauth(api, { receiver: scriptedReceiver(), storage, ...o })
  const events: OAuthEvents['signedOut'][] = []
  provider.on('signedOut', (event) => events.push(event))
  return { api, provider, events }
}

const revoked = async (): Promise<unknown[]> =>
  (await stack.authorizationServer.control.journal())
    .filter(({ path }) => path === revocation)
    .map(({ values, status }) => [values?.token_type_hint, status])

/** Whether the server still takes a refresh token. */
async function isGood(refreshToken: string, clientId: string): Promise<boolean> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: clientId })
  const { status } = await fetch(`${stack.authorizationServer.urls.issuer}/token`, { method: 'POST', body })
  return status === 200
}

describe('signOut() at oidc-provider', () => {
  it('revokes the refresh token, then the access token, and tells so [grant.revoke]', async () => {
    const { api, provider, events } = connect()
    await api.get('/notes')
    const { currentTokens, clientInformation } = provider.context
    await provider.signOut()
    // Access tokens are JWTs here, which this server cannot take back: it says so, and the refresh token counts.
    expect(await revoked()).toEqual([
      ['refresh_token', 200],
      ['access_token', 400],
    ])
    expect(events).toMatchObject([{ origin: stack.authorizationServer.urls.issuer, revoked: true }])
    expect(await isGood(currentTokens?.refresh_token ?? '', clientInformation?.client_id ?? '')).toBe(false)
    await expect(provider.describe()).resolves.toMatchObject({ session: 'none', refreshable: false })
  })

  const failures: readonly (readonly [string, Partial<Fault>])[] = [
    ['answers 503', { kind: 'respond', status: 503 }],
    ['answers 400', { kind: 'respond', status: 400, body: { error: 'unsupported_token_type' } }],
    ['redirects', { kind: 'respond', status: 302, headers: { location: 'https://evil.example/' } }],
    ['answers with a page', { kind: 'respond', status: 500, body: '<html>' }],
    ['cuts the connection', { kind: 'drop' }],
    ['loses its answer', { kind: 'drop-response' }],
  ]
  it.each(failures)(
    'removes the tokens from here when the server %s, and does not reject [grant.revoke] [storage.sign-out]',
    async (_what, fault) => {
      const { api, provider, events } = connect()
      await api.get('/notes')
      await stack.authorizationServer.control.fault({ path: revocation, kind: 'drop', times: 2, ...fault })
      await expect(provider.signOut()).resolves.toBeUndefined()
      expect(events).toMatchObject([{ revoked: false }])
      await expect(provider.describe()).resolves.toMatchObject({ session: 'none' })
      expect(await storedTokens()).toBe(false)
    },
  )

  it('removes them when the server is gone altogether [grant.revoke] [storage.sign-out]', async () => {
    const doomed = await startStack({ mcp: false })
    const api = axios.create({ baseURL: doomed.api.urls.api, proxy: false })
    const provider = oauth(api, { receiver: scriptedReceiver() })
    await api.get('/notes')
    await doomed.stop()
    await provider.signOut()
    await expect(provider.describe()).resolves.toMatchObject({ session: 'none' })
  })

  it('asks the server nothing with revoke: false, and nothing without a session [grant.revoke]', async () => {
    const { api, provider, events } = connect()
    await provider.signOut()
    await api.get('/notes')
    await provider.signOut({ revoke: false })
    expect(await revoked()).toEqual([])
    expect(events.map(({ revoked: told }) => told)).toEqual([false, false])
  })

  it('removes first and revokes then: who asks meanwhile gets no token of the old session [grant.revoke]', async () => {
    const { api, provider } = connect()
    await api.get('/notes')
    await stack.authorizationServer.control.fault({ path: revocation, kind: 'hold', times: 1 })
    const signedOut = provider.signOut()
    await stack.authorizationServer.control.held(revocation)
    expect(provider.context.currentTokens).toBeUndefined()
    expect(await storedTokens()).toBe(false)
    await stack.authorizationServer.control.release()
    await signedOut
  })

  it('is noticed by another provider over the same storage: it asks for a new sign-in, and refreshes nothing [storage.sign-out]', async () => {
    const [here, there] = [connect(), connect()]
    await here.api.get('/notes')
    await there.api.get('/notes')
    await there.api.get('/notes')
    await here.provider.signOut()
    await stack.authorizationServer.control.reset()
    // A JWT cannot be taken back: the API has to refuse it before the other one looks again.
    await stack.api.control.post('/reject-seen')
    expect((await there.api.get('/notes')).status).toBe(200)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      tokenRequests: { authorization_code: 1 },
      registrations: 0,
    })
  })

  it('is noticed at the next renewal as well, when the token has expired [storage.sign-out]', async () => {
    let ahead = 0
    const [here, there] = [connect(), connect({ now: () => Date.now() + ahead })]
    await here.api.get('/notes')
    await there.api.get('/notes')
    await here.provider.signOut()
    await stack.authorizationServer.control.reset()
    ahead = 300_000
    expect((await there.api.get('/notes')).status).toBe(200)
    expect((await stack.authorizationServer.control.counters()).tokenRequests).toEqual({ authorization_code: 1 })
  })
})

/** Whether a provider that starts now finds tokens. */
async function storedTokens(): Promise<boolean> {
  const { provider } = connect()
  await provider.context.load()
  return provider.context.currentTokens !== undefined
}

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import axios, { type AxiosInstance } from 'axios'
import { oauth, toFetch, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { scriptedReceiver, startServer, type RunningServer } from '../support/servers/start'

// The official SDK's own authorization server, with all its habits, in its present form and as a server of 2025-03-26.

jest.setTimeout(30_000)

type AuthServer = Awaited<ReturnType<typeof startServer<'mcp-sdk-auth-server'>>>
let server: AuthServer & RunningServer
const open: Client[] = []

async function start(flags: Record<string, unknown> = {}): Promise<void> {
  server = await startServer('mcp-sdk-auth-server', flags)
  ahead = 0
}
afterEach(async () => {
  for (const client of open.splice(0)) await client.close()
  await server.stop()
})

let ahead = 0

function connect(o: Partial<OAuthOptions> = {}): { http: AxiosInstance; provider: OAuthClientProvider } {
  const http = axios.create({ baseURL: server.urls.mcp, proxy: false })
  const provider = oauth(http, {
    clientMetadata: { client_name: 'SDK spec' },
    receiver: scriptedReceiver(),
    now: () => Date.now() + ahead,
    ...o,
  })
  return { http, provider }
}

async function mcp(http: AxiosInstance): Promise<Client> {
  const client = new Client({ name: 'spec', version: '1.0.0' })
  open.push(client)
  await client.connect(new StreamableHTTPClientTransport(new URL(server.urls.mcp), { fetch: toFetch(http) }))
  return client
}

async function echo(client: Client, text: string): Promise<unknown> {
  const { content } = await client.callTool({ name: 'echo', arguments: { text } })
  return (content as { text?: string }[])[0]?.text
}

const requests = async (): Promise<string[]> =>
  (await server.control.journal()).map(({ method, path, status }) => `${method} ${path} ${status}`)

describe.each([
  ['2025-06-18', undefined],
  ['2025-03-26', 'metadata'],
  ['2025-03-26-bare', 'endpoints'],
] as const)('the SDK’s authorization server, revision %s', (revision, legacy) => {
  it('lets the plugin in: discovery, registration, sign-in, 20 calls over an expiry, step-up, sign-out [legacy.conditions] [issuer.root-slash] [concurrency.one-refresh]', async () => {
    await start({ revision })
    const { http, provider } = connect()
    const client = await mcp(http)
    await expect(echo(client, 'hello')).resolves.toBe('hello')
    await expect(provider.describe()).resolves.toMatchObject({ session: 'valid', legacy, clientSource: 'dynamic' })
    ahead += 300_000
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`)
    await expect(Promise.all(texts.map((text) => echo(client, text)))).resolves.toEqual(texts)
    expect(await server.control.counters()).toMatchObject({
      registrations: 1,
      tokenRequests: { authorization_code: 1, refresh_token: 1 },
      reuseDetected: 0,
    })
    await client.callTool({ name: 'admin_report', arguments: {} })
    expect((await server.control.counters()).authorizationRequests).toBe(2)
    await provider.signOut()
    expect((await server.control.counters()).revocationRequests).toBe(legacy === 'endpoints' ? 0 : 2)
  })

  it('is asked where this revision says, in order [legacy.root-metadata] [legacy.default-endpoints]', async () => {
    await start({ revision })
    await mcp(connect().http)
    const asked = (await requests()).filter((request) => !request.includes(' /mcp'))
    const signIn = ['POST /register 201', 'GET /authorize 302', 'POST /token 200']
    const prm = ['GET /.well-known/oauth-protected-resource/mcp 404', 'GET /.well-known/oauth-protected-resource 404']
    const expected = {
      '2025-06-18': [
        'GET /.well-known/oauth-protected-resource/mcp 200',
        'GET /.well-known/oauth-authorization-server 200',
      ],
      '2025-03-26': [...prm, 'GET /.well-known/oauth-authorization-server 200'],
      '2025-03-26-bare': [
        ...prm,
        'GET /.well-known/oauth-authorization-server 404',
        'GET /.well-known/openid-configuration 404',
      ],
    }
    expect(asked).toEqual([...expected[revision], ...signIn])
  })
})

describe('the SDK’s authorization server', () => {
  it('that revokes everything leads to one new sign-in [refresh.terminal] [replay.order]', async () => {
    await start()
    const { http } = connect()
    const client = await mcp(http)
    await server.control.post('/revoke-all')
    await expect(echo(client, 'again')).resolves.toBe('again')
    expect(await server.control.counters()).toMatchObject({
      authorizationRequests: 2,
      tokenRequests: { authorization_code: 2, refresh_token: 1 },
    })
  })

  it('that calls a dead refresh token a server error keeps the session, says retryable, and names the way out [refresh.transient-keeps-session]', async () => {
    await start({ deadRefreshToken: 'server_error' })
    const { http, provider } = connect()
    const client = await mcp(http)
    await server.control.post('/revoke-all')
    const error: unknown = await echo(client, 'again').catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'OAUTH_TEMPORARY',
      retryable: true,
      oauthError: 'server_error',
      hint: expect.stringContaining('authorize()') as string,
    })
    expect((await server.control.counters()).authorizationRequests).toBe(1)
    await provider.authorize()
    await expect(echo(client, 'again')).resolves.toBe('again')
  })

  it('that limits registrations says when to come back [dcr.status]', async () => {
    await start({ rateLimits: true })
    const providers = Array.from({ length: 21 }, (_, index) => connect({ partition: `p${index}` }).provider)
    const outcomes: unknown[] = []
    for (const provider of providers) outcomes.push(await provider.getAccessToken().catch((error: unknown) => error))
    expect(outcomes.slice(0, 20).every((outcome) => typeof outcome === 'string')).toBe(true)
    expect(outcomes[20]).toMatchObject({ phase: 'registration', status: 429, retryable: true })
    expect((outcomes[20] as { retryAfter: number }).retryAfter).toBeGreaterThan(60_000)
  })

  it.each([true, false])(
    'that adds `iss` unasked (%s) is accepted [iss.present-compared] [iss.unadvertised-absent]',
    async (iss) => {
      await start({ iss })
      await expect(connect().provider.getAccessToken()).resolves.toEqual(expect.any(String))
    },
  )
})

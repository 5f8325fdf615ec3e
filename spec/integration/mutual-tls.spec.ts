import { Agent, type AgentOptions } from 'node:https'
import axios, { type AxiosInstance } from 'axios'
import { clientCredentials, oauth, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { makeAuthority, type Authority } from '../support/certificates'
import { failureOf } from '../support/failure-of'
import { certifiedClient, startMutualTlsServers, type MutualTlsServers } from '../support/mutual-tls-servers'

// RFC 8705 with real handshakes: the authority, its certificates and both servers live as long as this file.

let authority: Authority
let servers: MutualTlsServers
let agents: Agent[]

beforeAll(async () => {
  authority = makeAuthority('Authority of the spec')
  servers = await startMutualTlsServers(authority)
})
afterAll(() => servers?.stop())
beforeEach(() => {
  agents = []
  servers.requests.length = 0
})
afterEach(() => agents.forEach((agent) => agent.destroy()))

function connect(
  tls: AgentOptions,
  o: Partial<OAuthOptions> = {},
): { api: AxiosInstance; provider: OAuthClientProvider } {
  const httpsAgent = new Agent({ ca: authority.ca, keepAlive: true, ...tls })
  agents.push(httpsAgent)
  const api = axios.create({ baseURL: servers.serverUrl, httpsAgent, proxy: false })
  return { api, provider: oauth(api, { grant: clientCredentials(), clientInformation: certifiedClient, ...o }) }
}

const own = (): AgentOptions => ({ ...authority.issue(certifiedClient.client_id) })
const seen = (path: string) => servers.requests.filter((request) => request.path === path)

describe('a client with a certificate', () => {
  it('authenticates by it at the alias, and its token is good with the same certificate only [client-auth.mtls] [cc.request]', async () => {
    const { api, provider } = connect(own())
    expect((await api.get('/notes')).status).toBe(200)
    const [request, ...others] = seen('/token')
    expect(others).toEqual([])
    expect(request).toMatchObject({ at: 'mutual', certificate: certifiedClient.client_id, authorization: undefined })
    expect(Object.fromEntries(request!.form)).toEqual({
      grant_type: 'client_credentials',
      client_id: certifiedClient.client_id,
      resource: servers.serverUrl,
    })
    const thief = axios.create({ httpsAgent: new Agent({ ca: authority.ca, ...own() }), proxy: false })
    const headers = { Authorization: `Bearer ${await provider.getAccessToken()}` }
    await expect(thief.get(`${servers.serverUrl}/notes`, { headers })).rejects.toMatchObject({
      response: { status: 401 },
    })
  })

  it('revokes there as well [client-auth.mtls] [client-auth.everywhere] [grant.revoke]', async () => {
    const { api, provider } = connect(own())
    await api.get('/notes')
    const told: boolean[] = []
    provider.on('signedOut', ({ revoked }) => told.push(revoked))
    await provider.signOut()
    expect(seen('/revoke')).toMatchObject([{ at: 'mutual', certificate: certifiedClient.client_id, status: 200 }])
    expect(told).toEqual([true])
  })

  it('gets one new token for 20 callers when the old one has expired [cc.renewal]', async () => {
    let ahead = 0
    const { api } = connect(own(), { now: () => Date.now() + ahead })
    await api.get('/notes')
    ahead = 300_000
    await Promise.all(Array.from({ length: 20 }, () => api.get('/notes')))
    expect(seen('/token')).toHaveLength(2)
  })

  it('of somebody else is a typed error [client-auth.mtls]', async () => {
    const { provider } = connect({ ...authority.issue('somebody else') })
    expect(await failureOf(provider.getAccessToken())).toMatchObject({
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      oauthError: 'invalid_client',
      status: 401,
    })
    expect(seen('/token')).toMatchObject([{ at: 'mutual', certificate: 'somebody else' }])
  })

  it('that is missing is refused in the handshake: a typed error that names the httpsAgent, and no other endpoint [client-auth.mtls]', async () => {
    const error = await failureOf(connect({}).provider.getAccessToken())
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', retryable: false })
    expect(error.message).toContain(new URL(servers.alias).host)
    expect(error.hint).toMatch(/client certificate.*httpsAgent/)
    expect(seen('/token')).toEqual([])
  })

  it('of another authority gets no answer, which may be an outage: retryable, and no other endpoint [client-auth.mtls]', async () => {
    const { provider } = connect({ ...makeAuthority('Another').issue(certifiedClient.client_id) })
    expect(await failureOf(provider.getAccessToken())).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    expect(seen('/token')).toEqual([])
  })

  it('does not trust a server of another authority, and sends it nothing [client-auth.mtls]', async () => {
    const error = await failureOf(connect({ ...own(), ca: makeAuthority('Another').ca }).provider.getAccessToken())
    expect(error).toMatchObject({ code: 'OAUTH_DISCOVERY_FAILED', hint: expect.stringContaining('private CA') })
    expect(servers.requests).toEqual([])
  })
})

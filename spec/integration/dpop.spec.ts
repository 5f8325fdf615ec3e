import axios, { type AxiosInstance } from 'axios'
import { exportJWK, generateKeyPair } from 'jose'
import { clientCredentials, MemoryTokenStorage, oauth, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { scriptedReceiver, startStack, type Stack, type StackFlags } from '../support/servers/start'

jest.setTimeout(30_000)

let stack: Stack

async function start(flags: StackFlags): Promise<void> {
  stack = await startStack({ mcp: false, ...flags })
}

function connect(options: OAuthOptions = {}): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const person = options.grant === undefined ? { receiver: scriptedReceiver() } : {}
  return { api, provider: oauth(api, { ...person, ...options }) }
}

/** Scheme of `Authorization`, presence of a proof, status: of every request to the API. */
async function seenByApi(): Promise<(readonly [string | undefined, boolean, number | undefined])[]> {
  const journal = await stack.api.control.journal()
  const calls = journal.filter(({ path }) => path.startsWith('/api'))
  return calls.map(({ authorization, dpop, status }) => [authorization, dpop === true, status] as const)
}

async function tokenRequests(): Promise<unknown> {
  return (await stack.authorizationServer.control.counters()).tokenRequests
}

async function reset(): Promise<void> {
  await stack.api.control.reset()
  await stack.authorizationServer.control.reset()
}

describe('a resource that requires DPoP, behind oidc-provider', () => {
  beforeAll(() => start({ api: { dpop: 'required' } }))
  afterAll(() => stack.stop())
  beforeEach(reset)

  it('is served without any option: its metadata turns DPoP on [dpop.required] [dpop.resource-request] [dpop.token-request]', async () => {
    const { api } = connect()
    expect((await api.get('/notes?a=b#c')).status).toBe(200)
    await api.post('/notes', { text: 'x' })
    expect(await seenByApi()).toEqual([
      [undefined, false, 401],
      ['DPoP', true, 200],
      ['DPoP', true, 201],
    ])
    const [issued] = (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')
    expect(issued).toMatchObject({ dpop: true, issued: { token_type: 'DPoP' } })
  })

  it('has the code bound by the pushed request, which carries a proof [dpop.token-request]', async () => {
    await connect().api.get('/notes')
    const journal = await stack.authorizationServer.control.journal()
    expect(journal.filter(({ path }) => path === '/request')).toMatchObject([
      { status: 201, dpop: true, form: expect.arrayContaining(['dpop_jkt']) },
    ])
  })

  it('gets a renewed token from a bound refresh token, for all callers at once [dpop.token-request]', async () => {
    const { api } = connect()
    await api.get('/notes')
    await stack.api.control.post('/reject-seen')
    await reset()
    await Promise.all(Array.from({ length: 5 }, () => api.get('/notes')))
    expect(await tokenRequests()).toEqual({ refresh_token: 1 })
  })

  it('is served after a restart with a key of your own, and after a new sign-in with a lost one [dpop.key] [DP-07]', async () => {
    const dpop = { keyPair: await generateKeyPair('EdDSA') }
    const [kept, lost] = [new MemoryTokenStorage(), new MemoryTokenStorage()]
    await connect({ storage: kept, dpop }).api.get('/notes')
    await connect({ storage: lost }).api.get('/notes')
    await reset()
    const { api } = connect({ storage: kept, dpop })
    await api.get('/notes')
    expect(await tokenRequests()).toEqual({})
    await stack.api.control.post('/reject-seen')
    await api.get('/notes')
    expect(await tokenRequests()).toEqual({ refresh_token: 1 })
    await reset()
    await connect({ storage: lost }).api.get('/notes')
    expect(await tokenRequests()).toEqual({ authorization_code: 1 })
    expect((await seenByApi()).filter(([scheme]) => scheme === 'Bearer')).toEqual([])
  })

  it('is not asked for with dpop: false, and nobody is [dpop.required] [PR-51]', async () => {
    await expect(connect({ dpop: false }).api.get('/notes')).rejects.toMatchObject({ code: 'OAUTH_DPOP_UNSUPPORTED' })
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      authorizationRequests: 0,
      tokenRequests: {},
    })
  })

  it.each(['ES256', 'EdDSA'])('takes proofs signed with %s [dpop.key]', async (alg) => {
    expect((await connect({ dpop: { alg } }).api.get('/notes')).status).toBe(200)
  })

  it('names the clock that is five minutes behind when the API refuses its proofs [CK-07]', async () => {
    const { api } = connect({ now: () => Date.now() - 300_000 })
    await expect(api.get('/notes')).rejects.toMatchObject({
      response: { status: 401 },
      cause: { hint: expect.stringMatching(/(300|299|301) s behind/) },
    })
  })

  it('names the clock that is ten minutes behind when the authorization server refuses its proofs [CK-07]', async () => {
    const { api } = connect({ now: () => Date.now() - 600_000 })
    await expect(api.get('/notes')).rejects.toMatchObject({
      oauthError: 'invalid_dpop_proof',
      hint: expect.stringMatching(/(600|599|601) s behind/),
    })
  })
})

describe('nonces demanded by oidc-provider and by the API', () => {
  beforeAll(async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] }
    key = { ...(await exportJWK(privateKey)), kid: 'k' }
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const clients = [
      { ...machine, client_id: 'basic', client_secret: 'a-secret-of-the-spec' },
      { ...machine, client_id: 'signing', token_endpoint_auth_method: 'private_key_jwt', jwks },
    ]
    await start({ authorizationServer: { dpopNonce: true, clients }, api: { dpop: 'required', dpopNonce: true } })
  })
  afterAll(() => stack.stop())
  beforeEach(reset)

  let key: Readonly<Record<string, unknown>> & { readonly kty?: string }

  it('cost one repetition each, and none afterwards [dpop.as-nonce] [dpop.rs-nonce] [dpop.nonce-kept] [DP-02] [DP-03]', async () => {
    const { api } = connect({ dpop: 'required' })
    await api.get('/notes')
    const journal = await stack.authorizationServer.control.journal()
    // The pushed request learns the nonce of the server, the first 401 that of the API.
    expect(journal.filter(({ path }) => path === '/request').map(({ status }) => status)).toEqual([400, 201])
    expect(await tokenRequests()).toEqual({ authorization_code: 1 })
    expect(await seenByApi()).toEqual([
      [undefined, false, 401],
      ['DPoP', true, 200],
    ])
    await stack.api.control.post('/new-nonce')
    await api.get('/notes')
    await api.get('/notes')
    expect((await seenByApi()).slice(2).map(([, , status]) => status)).toEqual([401, 200, 200])
    expect(await tokenRequests()).toEqual({ authorization_code: 1 })
  })

  it.each<[string, () => OAuthOptions['clientInformation']]>([
    ['a secret', () => ({ client_id: 'basic', client_secret: 'a-secret-of-the-spec' })],
    [
      'signed assertions, made anew for the repetition',
      () => ({
        client_id: 'signing',
        token_endpoint_auth_method: 'private_key_jwt',
        private_key: { ...key, kty: 'EC' },
      }),
    ],
  ])('are answered by a machine with %s [dpop.as-nonce] [dpop.token-request]', async (_name, clientInformation) => {
    const { api } = connect({
      grant: clientCredentials(),
      clientInformation: clientInformation()!,
      scope: 'notes:read',
    })
    expect((await api.get('/notes')).status).toBe(200)
    expect(await tokenRequests()).toEqual({ client_credentials: 2 })
  })
})

describe('an authorization server without DPoP', () => {
  beforeAll(() => start({ authorizationServer: { dpop: false }, api: { dpop: 'optional' } }))
  afterAll(() => stack.stop())
  beforeEach(reset)

  it('is used for Bearer with dpop: true [dpop.required] [TK-03]', async () => {
    await connect({ dpop: true }).api.get('/notes')
    expect((await seenByApi()).at(-1)).toEqual(['Bearer', false, 200])
  })

  it("is refused with dpop: 'required' [dpop.required] [TK-03]", async () => {
    await expect(connect({ dpop: 'required' }).api.get('/notes')).rejects.toMatchObject({ code: 'OAUTH_TOKEN_INVALID' })
    expect((await seenByApi()).filter(([scheme]) => scheme !== undefined)).toEqual([])
  })
})

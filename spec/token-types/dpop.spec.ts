import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import axiosRetry from 'axios-retry'
import { generateKeyPair } from 'jose'
import {
  authorizationCode,
  clientCredentials,
  isOAuthFlowError,
  MemoryTokenStorage,
  type OAuthFlowError,
} from 'axios-oauth2'
import { DpopServers, type DpopFlags } from '../support/dpop-servers'
import { startWorld, withMembers, type World, type WorldOptions } from '../support/world'

let world: World
let servers: DpopServers

async function start(flags: DpopFlags = {}, o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  servers = new DpopServers(world, flags)
}

afterEach(() => world.stop())

const failureOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error('It was expected to fail.')),
    (error: unknown) => error as Error,
  )
const schemes = (): (string | undefined)[] => servers.atApi.map(({ scheme }) => scheme)
const proofsAtApi = (): NonNullable<(typeof servers.atApi)[number]['proof']>[] =>
  servers.atApi.flatMap(({ proof }) => proof ?? [])

describe('dpop: true', () => {
  it('proves possession at the token endpoint and with every request, each time anew [dpop.proof] [dpop.resource-request] [dpop.token-request] [dpop.fresh]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('/a', { params: { q: 'ü' } })
    await api.post('/b?x=1#y', 'text')
    expect(world.steps().filter((step) => step.startsWith('api'))).toEqual(['api 401', 'api 200', 'api 200'])
    expect(schemes()).toEqual([undefined, 'DPoP', 'DPoP'])
    const [first, second] = proofsAtApi()
    expect(first).toMatchObject({ alg: 'ES256', htm: 'GET', htu: `${world.serverUrl}/a`, ath: expect.any(String) })
    expect(second).toMatchObject({ htm: 'POST', htu: `${world.serverUrl}/b`, ath: first!.ath, jkt: first!.jkt })
    expect(servers.atToken.map(({ proof }) => proof)).toEqual([
      expect.objectContaining({ htm: 'POST', htu: `${world.origin.as}/token`, jkt: first!.jkt }),
    ])
    expect(servers.atToken[0]!.proof).not.toHaveProperty('ath')
  })

  it('binds the code to the key by dpop_jkt [DP-07] [dpop.token-request]', async () => {
    await start()
    await world.connect({ dpop: true }).api.get('')
    expect(world.user.visits[0]!.searchParams.get('dpop_jkt')).toBe(servers.atToken[0]!.proof!.jkt)
  })

  it('proves what interceptors made of the request [dpop.proof] [DP-01] [DP-06]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    api.interceptors.request.use((config) => ({ ...config, url: `${config.url}/moved?later=1`, method: 'put' }))
    await api.get('/a')
    expect(proofsAtApi()).toMatchObject([{ htm: 'PUT', htu: `${world.serverUrl}/a/moved` }])
  })

  it('works with the fetch adapter [dpop.resource-request]', async () => {
    await start()
    const { api } = world.connect({ dpop: true }, { adapter: 'fetch' })
    await api.get('/a')
    expect(schemes()).toEqual([undefined, 'DPoP'])
  })

  it('refreshes with the key the tokens are bound to [dpop.token-request]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.expireTokens()
    await api.get('')
    expect(servers.atToken).toHaveLength(2)
    expect(
      new Set([...servers.atToken.map(({ proof }) => proof?.jkt), ...proofsAtApi().map(({ jkt }) => jkt)]).size,
    ).toBe(1)
    expect(world.user.visits).toHaveLength(1)
  })

  it('works without a person [dpop.token-request]', async () => {
    await start()
    const clientInformation = world.addClient({
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
    })
    const { api } = world.connect({
      dpop: 'required',
      grant: clientCredentials(),
      clientInformation,
      interactive: false,
    })
    await api.get('')
    expect(schemes()).toEqual([undefined, 'DPoP'])
  })

  it('uses a Bearer answer as Bearer, without a proof [dpop.required] [TK-03] [TK-04]', async () => {
    await start({ bind: false })
    world.answer('token', withMembers({ token_type: undefined }), { times: 1 })
    const { api } = world.connect({ dpop: true })
    await api.get('')
    expect(schemes()).toEqual([undefined, 'Bearer'])
    expect(servers.atApi.map(({ proof }) => proof)).toEqual([undefined, undefined])
  })

  it.each([
    [['RS256', 'ES384', 'ES512'], 'RS256'],
    [['none', 'HS256', 'ES384'], 'ES384'],
    [undefined, 'ES256'],
  ])('signs with what the server lists: %j gives %s [dpop.key]', async (algorithms, alg) => {
    await start({ algorithms })
    await world.connect({ dpop: true }).api.get('')
    expect(servers.atToken[0]!.proof!.alg).toBe(alg)
  })

  it.each([
    ['no algorithm of ours', true, ['ES256K']],
    ['not the configured one', { alg: 'PS256' }, ['ES256']],
  ])('asks nobody when the server lists %s [dpop.key]', async (_name, dpop, algorithms) => {
    await start({ algorithms })
    const error = await failureOf(world.connect({ dpop }).api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_DPOP_UNSUPPORTED', endpoint: expect.stringContaining(world.issuer) })
    expect(world.user.visits).toEqual([])
  })

  it('leaves neither proof nor token in what the application is handed [redact.everywhere]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    const response = await api.get('')
    expect(response.config.headers.has('DPoP')).toBe(false)
    expect(response.config.headers.has('Authorization')).toBe(false)
    expect(response.config.maxRedirects).toBeUndefined()
    world.answer('api', { status: 503 }, { times: 1 })
    const error = await failureOf(api.get('/fails'))
    // The world's API echoes what it was sent.
    for (const handed of [{ ...response, data: undefined }, error]) {
      const shown = inspect(handed, { depth: Infinity, showHidden: true })
      for (const { headers } of world.requests('api').slice(1)) expect(shown).not.toContain(headers.dpop)
      expect(world.leaksIn(handed)).toEqual([])
    }
  })

  it('sends a refused POST once more, byte-identical, with a new proof [LP-16] [dpop.fresh]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.revokeAccessTokens()
    world.forget()
    await api.post('/x', Buffer.from([0, 255, 1]))
    const [refused, replayed] = world.requests('api')
    expect(replayed!.body).toEqual(refused!.body)
    const [before, after] = proofsAtApi().slice(-2)
    expect(after).toMatchObject({ htm: before!.htm, htu: before!.htu, jkt: before!.jkt })
    expect([after!.jti, after!.ath]).not.toEqual([before!.jti, before!.ath])
  })

  it('carries a fresh proof when axios-retry sends again [dpop.fresh]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    axiosRetry(api, { retries: 2, retryCondition: ({ response }) => response?.status === 503, retryDelay: () => 0 })
    await api.get('')
    world.answer('api', { status: 503, body: 'busy' }, { times: 1 })
    await api.get('/again')
    const sent = world
      .requests('api')
      .slice(-2)
      .map(({ headers }) => headers.dpop)
    expect(new Set(sent).size).toBe(2)
    expect(sent.every((proof) => typeof proof === 'string')).toBe(true)
  })
})

describe('dpop: true at a redirect', () => {
  it('hands the 3xx to the caller, and no proof to anybody [dpop.no-redirect] [DP-04] [RQ-01]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    for (const adapter of ['http', 'fetch'] as const) {
      for (const to of [`${world.origin.evil}/x`, `${world.serverUrl}/elsewhere`]) {
        const error = await failureOf(api.get('/redirect', { params: { to }, adapter, maxRedirects: 5 }))
        expect(error).toMatchObject({ response: { status: 302 }, config: { maxRedirects: 5 } })
      }
    }
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
    expect(world.order().filter((step) => step.includes('/elsewhere'))).toEqual([])
  })
})

describe('dpop: a nonce of the resource', () => {
  it('is learned from a refusal: one repetition of the same token, no renewal [dpop.rs-nonce] [DP-01]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    servers.nonce.rs = 'first'
    world.forget()
    await api.post('/x', 'body')
    expect(world.steps()).toEqual(['api 401', 'api 200'])
    expect(world.requests('api').map(({ body }) => String(body))).toEqual(['body', 'body'])
    const [refused, repeated] = proofsAtApi().slice(-2)
    expect(refused).not.toHaveProperty('nonce')
    expect(repeated).toMatchObject({ nonce: 'first', htm: 'POST', htu: refused!.htu, ath: refused!.ath })
    expect(repeated!.jti).not.toBe(refused!.jti)
  })

  it('is used without a refusal when an earlier response brought it, the first 401 included [dpop.nonce-kept] [DP-02]', async () => {
    await start()
    servers.nonce.rs = 'one'
    const { api } = world.connect({ dpop: true })
    await api.get('')
    expect(world.steps().filter((step) => step.startsWith('api'))).toEqual(['api 401', 'api 200'])
    world.answer(
      'api',
      async (_request, honest) => {
        servers.nonce.rs = undefined
        const answer = await honest()
        servers.nonce.rs = 'two'
        return { ...answer, status: 200, headers: { 'DPoP-Nonce': 'two' } }
      },
      { times: 1 },
    )
    await api.get('/success')
    world.forget()
    await api.get('/next')
    expect(world.steps()).toEqual(['api 200'])
    expect(proofsAtApi().at(-1)).toMatchObject({ nonce: 'two' })
  })

  it('leaves the renewal of a dead token its own sending [dpop.rs-nonce] [LP-13]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.revokeAccessTokens()
    servers.nonce.rs = 'n'
    world.forget()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'api 401', 'token 200', 'api 200'])
    expect(world.user.visits).toHaveLength(1)
  })

  it("that changes each time is tried once, then the 401 is the caller's with the reason [LP-10] [LP-13]", async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.forget()
    let count = 0
    world.answer('api', () => refusal('use_dpop_nonce', `n${(count += 1)}`))
    const error = await failureOf(api.get(''))
    expect(world.steps()).toEqual(['api 401', 'api 401'])
    expect(error).toMatchObject({
      response: { status: 401 },
      cause: { code: 'OAUTH_DPOP_NONCE', hint: expect.any(String) },
    })
    expect(isOAuthFlowError(error)).toBe(false)
  })

  it.each<[string, string | undefined]>([
    ['without a nonce', undefined],
    ['with one that is too long', 'n'.repeat(10_000)],
    ['with one that is none', 'two words'],
  ])('demanded %s is a typed error and no repetition [LP-12] [DP-05]', async (_name, nonce) => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.forget()
    world.answer('api', () => refusal('use_dpop_nonce', nonce))
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_DPOP_NONCE', status: 401, endpoint: world.serverUrl })
    expect((error as OAuthFlowError).response).toMatchObject({ status: 401 })
    expect(world.steps()).toEqual(['api 401'])
    expect(world.leaksIn(error)).toEqual([])
  })

  it('costs at most four sendings in all: challenge, nonce, renewal and step-up in turn [LP-13]', async () => {
    await start()
    const { api } = world.connect({ dpop: true, scope: 'read' })
    await api.get('')
    servers.nonce.rs = 'one'
    world.revokeAccessTokens()
    world.forget()
    const error = await failureOf(
      api.get('/needs?scope=admin').then(async () => {
        throw new Error('done')
      }),
    )
    expect(String(error)).toMatch(/done/)
    expect(world.count('api')).toBe(4)
    world.forget()
    let turn = 0
    const refusals = [
      () => refusal('use_dpop_nonce', 'a'),
      () => refusal('invalid_token', 'b'),
      () => ({ status: 403, headers: { 'WWW-Authenticate': 'DPoP error="insufficient_scope", scope="more"' } }),
    ]
    world.answer('api', () => refusals[(turn += 1) % 3]!())
    await failureOf(api.get('/endless'))
    expect(world.count('api')).toBeLessThanOrEqual(4)
  })

  it('cannot repeat a stream; the next request has the nonce [dpop.rs-nonce] [replay.not-replayable]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    servers.nonce.rs = 'n'
    world.forget()
    const error = await failureOf(api.post('/x', Readable.from(['body'])))
    expect(error).toMatchObject({ code: 'OAUTH_NOT_REPLAYABLE' })
    await api.post('/x', Readable.from(['body']))
    expect(world.steps()).toEqual(['api 401', 'api 200'])
  })
})

describe('dpop: a nonce of the authorization server', () => {
  it('is answered with one repetition of the code exchange, with a new proof [dpop.as-nonce] [DP-01]', async () => {
    await start()
    servers.nonce.as = 'as-nonce'
    const { api } = world.connect({ dpop: true })
    await api.get('')
    const [refused, repeated] = servers.atToken.map(({ proof }) => proof!)
    expect(servers.atToken).toHaveLength(2)
    expect(repeated).toMatchObject({ nonce: 'as-nonce', jkt: refused!.jkt })
    expect(repeated!.jti).not.toBe(refused!.jti)
    expect(world.user.visits).toHaveLength(1)
    world.expireTokens()
    await api.get('')
    expect(servers.atToken).toHaveLength(3)
  })

  it('never goes to the resource, nor the other way round [DP-03]', async () => {
    await start()
    servers.nonce = { as: 'of-as', rs: 'of-rs' }
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.expireTokens()
    await api.get('')
    expect(new Set(proofsAtApi().map(({ nonce }) => nonce))).toEqual(new Set(['of-rs']))
    expect(servers.atToken.map(({ proof }) => proof?.nonce)).toEqual([undefined, 'of-as', 'of-as'])
  })

  it.each<[string, string | undefined, number]>([
    ['changes each time', 'new', 2],
    ['is missing', undefined, 1],
  ])('that %s is OAUTH_DPOP_NONCE, and the stored session survives [LP-11] [LP-12]', async (_name, nonce, requests) => {
    await start()
    const { api, provider } = world.connect({ dpop: true })
    await api.get('')
    world.expireTokens()
    world.forget()
    let count = 0
    const restore = world.answer('token', () => ({
      status: 400,
      body: { error: 'use_dpop_nonce' },
      ...(nonce === undefined ? {} : { headers: { 'DPoP-Nonce': `${nonce}${(count += 1)}` } }),
    }))
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({
      code: 'OAUTH_DPOP_NONCE',
      phase: 'token',
      hint: expect.stringContaining('DPoP-Nonce'),
    })
    expect(world.count('token')).toBe(requests)
    expect(world.leaksIn(error)).toEqual([])
    restore()
    world.clock.advance(60_000)
    await api.get('')
    expect(world.user.visits).toHaveLength(1)
    expect((await provider.describe()).session).toBe('valid')
  })

  it('is answered for a pushed authorization request too, whose proof binds the code [dpop.as-nonce] [dpop.token-request]', async () => {
    await start()
    world.answer('as-metadata', async (_request, honest) => {
      const answer = await honest()
      const members = {
        pushed_authorization_request_endpoint: `${world.origin.as}/par`,
        dpop_signing_alg_values_supported: ['ES256'],
      }
      return { ...answer, body: { ...(answer.body as object), ...members } }
    })
    world.answer(
      'par',
      { status: 400, headers: { 'DPoP-Nonce': 'n' }, body: { error: 'use_dpop_nonce' } },
      { times: 1 },
    )
    await world.connect({ dpop: true }).api.get('')
    const pushed = world.requests('par')
    expect(pushed.map(({ status }) => status)).toEqual([400, 201])
    expect(pushed.map(({ headers }) => typeof headers.dpop)).toEqual(['string', 'string'])
    expect(pushed[1]!.form?.get('dpop_jkt')).toBe(servers.atToken[0]!.proof!.jkt)
  })
})

describe('dpop: required', () => {
  it("is turned on by the resource's metadata [dpop.required] [WA-03] [challenge.own-scheme-first]", async () => {
    await start({ required: true })
    await world.connect().api.get('')
    expect(schemes()).toEqual([undefined, 'DPoP'])
  })

  it('asks nobody when the option is false [dpop.required] [PR-51] [WA-03]', async () => {
    await start({ required: true })
    const error = await failureOf(world.connect({ dpop: false }).api.get(''))
    expect(error).toMatchObject({
      code: 'OAUTH_DPOP_UNSUPPORTED',
      phase: 'discovery',
      hint: expect.stringContaining('dpop'),
    })
    expect(world.user.visits).toEqual([])
    expect(world.count('register') + world.count('token')).toBe(0)
  })

  it.each<[string, unknown, boolean]>([
    ["dpop: 'required'", 'required', false],
    ['dpop: { required: true }', { required: true }, false],
    ['the metadata', undefined, true],
  ])(
    'by %s refuses a Bearer answer, and one without a type [dpop.required] [TK-03] [TK-04]',
    async (_name, dpop, required) => {
      await start({ bind: false, required })
      const { api } = world.connect({ ...(dpop === undefined ? {} : { dpop: dpop as 'required' }) })
      expect(await failureOf(api.get(''))).toMatchObject({ code: 'OAUTH_TOKEN_INVALID' })
      world.answer('token', async (_request, honest) => {
        const { token_type: _type, ...body } = (await honest()).body as Record<string, unknown>
        return { body }
      })
      expect(await failureOf(api.get(''))).toMatchObject({ code: 'OAUTH_TOKEN_INVALID' })
      expect(schemes().filter((scheme) => scheme !== undefined)).toEqual([])
    },
  )

  it('does not use a Bearer token of an earlier session, but binds the next one [dpop.required]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    await world.connect({ storage }).api.get('')
    await world.connect({ storage, dpop: 'required' }).api.get('')
    expect(schemes().slice(1)).toEqual(['Bearer', 'DPoP'])
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('dpop: off', () => {
  it('sends no proof, and refuses a bound token [TK-02] [dpop.required]', async () => {
    await start()
    world.answer('token', withMembers({ token_type: 'DPoP' }))
    expect(await failureOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_TOKEN_INVALID' })
    expect(world.requests('token').map(({ headers }) => headers.dpop)).toEqual([undefined])
  })

  it('takes the location of the metadata from a DPoP challenge, signs in for Bearer, and says why that is refused [WA-03]', async () => {
    await start()
    world.answer('api', () =>
      refusal(undefined, undefined, `${world.origin.rs}/.well-known/oauth-protected-resource/mcp`),
    )
    const error = await failureOf(world.connect().api.get(''))
    expect(world.requests('prm')).toHaveLength(1)
    expect(error).toMatchObject({
      response: { status: 401 },
      cause: { code: 'OAUTH_DPOP_UNSUPPORTED', hint: expect.stringContaining('dpop') },
    })
    world.forget()
    const refused = await failureOf(world.connect({ dpop: false }).api.get(''))
    expect(refused).toMatchObject({ code: 'OAUTH_DPOP_UNSUPPORTED' })
    expect(world.count('token')).toBe(0)
  })

  it('prefers Bearer where the resource offers both [challenge.own-scheme-first]', async () => {
    await start()
    world.answer('api', async (_request, honest) => {
      const answer = await honest()
      const challenge = answer.headers?.['WWW-Authenticate']
      return challenge === undefined
        ? answer
        : { ...answer, headers: { 'WWW-Authenticate': `DPoP algs="ES256", ${String(challenge)}` } }
    })
    await world.connect({ dpop: false }).api.get('')
    expect(world.requests('api').map(({ headers }) => headers.authorization?.split(' ')[0])).toEqual([
      undefined,
      'Bearer',
    ])
  })
})

describe('dpop: keys', () => {
  it('once lost lead to one new sign-in, and the bound token goes nowhere [DP-07]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    await world.connect({ storage, dpop: true }).api.get('')
    world.forget()
    const { api } = world.connect({ storage, dpop: true })
    await Promise.all([api.get('/a'), api.get('/b')])
    await api.get('/c')
    expect(schemes().slice(2)).toEqual(['DPoP', 'DPoP', 'DPoP'])
    expect(world.requests('token').map(({ form }) => form?.get('grant_type'))).toEqual(['authorization_code'])
    expect(world.user.visits).toHaveLength(2)
    expect(new Set(proofsAtApi().map(({ jkt }) => jkt)).size).toBe(2)
  })

  it('once lost cost a client with a secret one refresh, for its tokens are not bound by RFC 9449 §5 [DP-07]', async () => {
    await start()
    const clientInformation = world.addClient({ token_endpoint_auth_method: 'client_secret_basic' })
    world.answer('token', async (request, honest) => {
      const answer = await honest()
      return {
        ...answer,
        body: { ...(answer.body as object), token_type: 'DPoP' },
        ...(request.headers.dpop === undefined ? { status: 400 } : {}),
      }
    })
    world.answer('api', async (request, honest) => {
      request.headers.authorization = request.headers.authorization?.replace('DPoP', 'Bearer')
      return honest()
    })
    const storage = new MemoryTokenStorage()
    await world.connect({ storage, dpop: true, clientInformation }).api.get('')
    world.forget()
    await world.connect({ storage, dpop: true, clientInformation }).api.get('')
    expect(world.requests('token').map(({ form }) => form?.get('grant_type'))).toEqual(['refresh_token'])
    expect(world.user.visits).toHaveLength(1)
  })

  it('never go along as Bearer when DPoP has been turned off [DP-07] [dpop.resource-request]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    await world.connect({ storage, dpop: true }).api.get('')
    const bound = world.requests('api').at(-1)!.headers.authorization!.split(' ')[1]!
    world.forget()
    await world.connect({ storage, dpop: false }).api.get('')
    expect(world.requests('api').filter(({ headers }) => headers.authorization?.includes(bound))).toEqual([])
    expect(world.user.visits).toHaveLength(2)
  })

  it('of your own survive a restart [dpop.key]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    const dpop = { keyPair: await generateKeyPair('ES256') }
    await world.connect({ storage, dpop }).api.get('')
    world.forget()
    await world.connect({ storage, dpop }).api.get('')
    expect(world.steps()).toEqual(['api 200'])
    world.expireTokens()
    await world.connect({ storage, dpop }).api.get('')
    expect(world.steps().slice(1)).toEqual(['token 200', 'api 200'])
    expect(new Set(proofsAtApi().map(({ jkt }) => jkt)).size).toBe(1)
  })

  it('of your own that were exchanged are a typed error, without a silent sign-in; authorize() signs in [DP-08]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    await world.connect({ storage, dpop: { keyPair: await generateKeyPair('ES256') } }).api.get('')
    world.forget()
    const { api, provider } = world.connect({ storage, dpop: { keyPair: await generateKeyPair('ES256') } })
    expect(await failureOf(api.get(''))).toMatchObject({
      code: 'OAUTH_DPOP_UNSUPPORTED',
      hint: expect.stringContaining('authorize()'),
    })
    expect(world.user.visits).toHaveLength(1)
    expect(world.count('token')).toBe(0)
    await provider.authorize()
    await api.get('')
    expect(world.user.visits).toHaveLength(2)
  })

  it('are needed where a sign-in is finished [DP-07] [dpop.token-request]', async () => {
    await start()
    const storage = new MemoryTokenStorage()
    const o = { storage, dpop: true, interactive: false, grant: authorizationCode() }
    const { url } = await world.connect(o).provider.startAuthorization()
    const callback = await world.user.visit(url)
    const error = await failureOf(world.connect(o).provider.finishAuthorization(callback))
    expect(error).toMatchObject({ code: 'OAUTH_DPOP_UNSUPPORTED', hint: expect.stringContaining('keyPair') })
    const dpop = { keyPair: await generateKeyPair('ES256') }
    const begun = await world.connect({ ...o, dpop }).provider.startAuthorization()
    await world.connect({ ...o, dpop }).provider.finishAuthorization(await world.user.visit(begun.url))
    expect(world.count('token')).toBe(1)
  })

  it('that are private are in no stored record [dpop.key]', async () => {
    await start()
    const values: string[] = []
    const memory = new MemoryTokenStorage()
    const storage = {
      get: (key: string) => memory.get(key),
      set: (key: string, value: string) => (values.push(value), memory.set(key, value)),
      delete: (key: string) => memory.delete(key),
    }
    await world.connect({ storage, dpop: true }).api.get('')
    expect(values.join()).toContain(`"dpop":{"jkt":"${servers.atToken[0]!.proof!.jkt}"}`)
    expect(values.join()).not.toMatch(/"d":|privateKey|PRIVATE/)
  })
})

describe('dpop: a clock that is wrong', () => {
  const behind = (): number => world.clock.now() + 300_000

  it('is named when the authorization server refuses the proof [CK-07]', async () => {
    await start({ now: () => behind() })
    const error = await failureOf(world.connect({ dpop: true }).api.get(''))
    expect(error).toMatchObject({
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      oauthError: 'invalid_dpop_proof',
      hint: expect.stringMatching(/clock of this machine is 300 s behind/),
    })
    expect(world.leaksIn(error)).toEqual([])
  })

  it('is named when the resource refuses the proof; the good token is kept [CK-07]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.forget()
    const date = new Date(behind()).toUTCString()
    world.answer(
      'api',
      () => ({ ...refusal('invalid_dpop_proof'), headers: { ...refusal('invalid_dpop_proof').headers, Date: date } }),
      { times: 1 },
    )
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ response: { status: 401 } })
    expect((error.cause as OAuthFlowError).hint).toMatch(/clock of this machine is 300 s behind/)
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'api 200'])
  })

  it('does not matter to servers that go by nonces [CK-07] [dpop.as-nonce] [dpop.rs-nonce]', async () => {
    await start({ now: () => behind(), window: Infinity })
    servers.nonce = { as: 'a', rs: 'r' }
    await world.connect({ dpop: true }).api.get('')
    expect(schemes().at(-1)).toBe('DPoP')
  })

  it('does not end the session at a refresh, unlike a dead refresh token [CK-07]', async () => {
    await start()
    const { api } = world.connect({ dpop: true })
    await api.get('')
    world.expireTokens()
    const date = new Date(behind()).toUTCString()
    world.answer('token', { status: 400, headers: { Date: date }, body: { error: 'invalid_dpop_proof' } }, { times: 1 })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ oauthError: 'invalid_dpop_proof', hint: expect.stringMatching(/300 s behind/) })
    world.clock.advance(10_000)
    await api.get('')
    expect(world.user.visits).toHaveLength(1)
  })
})

function refusal(
  error?: string,
  nonce?: string,
  metadata?: string,
): { status: number; headers: Record<string, string>; body: string } {
  const parameters = [
    ...(error === undefined ? ['algs="ES256"'] : [`error="${error}"`]),
    ...(metadata === undefined ? [] : [`resource_metadata="${metadata}"`]),
  ]
  return {
    status: 401,
    headers: {
      'WWW-Authenticate': `DPoP ${parameters.join(', ')}`,
      ...(nonce === undefined ? {} : { 'DPoP-Nonce': nonce }),
    },
    body: 'refused',
  }
}

import {
  authorizationCode,
  clientCredentials,
  Discovery,
  fromTokenStorage,
  MemoryTokenStorage,
  OAuthClientProvider,
  OAuthContext,
  PkceFlow,
  PkceParameters,
  Registrar,
  TokenEndpoint,
  type Lease,
  type OAuthOptions,
} from 'axios-oauth2'
import * as publicModules from 'axios-oauth2'
import { createHash } from 'node:crypto'
import { startWorld, type World, type WorldOptions } from './support/world'

// The vocabulary of the MCP Python SDK's `mcp.client.auth`, in camelCase.

let world: World

async function start(o?: WorldOptions): Promise<void> {
  world = await startWorld(o)
}
afterEach(() => world.stop())

describe('OAuthClientProvider', () => {
  it('is made of serverUrl, clientMetadata, storage, redirectHandler, callbackHandler and timeout [pack.modules-public]', async () => {
    await start()
    const { serverUrl, redirectUri, user } = world
    const shown: string[] = []
    const options: OAuthOptions = {
      serverUrl,
      clientMetadata: { client_name: 'Python', redirect_uris: [redirectUri] },
      storage: new MemoryTokenStorage(),
      redirectHandler: (url) => {
        shown.push(url)
        user.redirectHandler(url)
      },
      callbackHandler: (o) => user.callbackHandler(o),
      timeout: 300_000,
    }
    const provider = new OAuthClientProvider(options)
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(shown).toHaveLength(1)
    expect(provider.context).toBeInstanceOf(OAuthContext)
    expect(provider.context.settings).toMatchObject({
      serverUrl,
      timeout: 300_000,
      clientMetadata: { client_name: 'Python' },
    })
  })

  it('gives up when nobody comes back within `timeout` milliseconds [pack.modules-public]', async () => {
    await start()
    world.user.leave()
    const { provider } = world.connect({ timeout: 50 })
    await expect(provider.getAccessToken()).rejects.toMatchObject({ code: 'OAUTH_CALLBACK_TIMEOUT' })
  })
})

describe('OAuthContext', () => {
  it('knows nothing before the first use, and everything after it [pack.modules-public]', async () => {
    await start()
    const { api, provider } = world.connect({ scope: 'read' })
    const { context } = provider
    expect(context.protectedResourceMetadata).toBeUndefined()
    expect(context.authorizationServerMetadata).toBeUndefined()
    expect(context.clientInformation).toBeUndefined()
    expect(context.currentTokens).toBeUndefined()
    expect(context.tokenExpiresAt).toBeUndefined()
    expect([context.isTokenValid(), context.canRefreshToken()]).toEqual([false, false])
    await api.get('')
    expect(context.protectedResourceMetadata).toMatchObject({
      resource: world.serverUrl,
      authorization_servers: [world.issuer],
    })
    expect(context.authorizationServerMetadata).toMatchObject({
      issuer: world.issuer,
      token_endpoint: `${world.issuer}/token`,
    })
    expect(context.clientInformation).toMatchObject({
      client_id: expect.stringMatching(/^client-/) as string,
      source: 'dynamic',
    })
    expect(context.currentTokens).toMatchObject({
      access_token: world.liveAccessToken(),
      token_type: 'Bearer',
      scope: 'read',
    })
    expect(context.tokenExpiresAt).toBe(world.clock.now() + 3_600_000)
    expect([context.isTokenValid(), context.canRefreshToken()]).toEqual([true, true])
  })

  it('says by isTokenValid() and canRefreshToken() what a request would find [pack.modules-public]', async () => {
    await start({ refresh: false })
    const { provider } = world.connect()
    await provider.authorize()
    expect([provider.context.isTokenValid(), provider.context.canRefreshToken()]).toEqual([true, false])
    world.expireTokens()
    expect(provider.context.isTokenValid()).toBe(false)
  })

  it('counts a token of unknown lifetime as valid [pack.modules-public] [lifetime.unknown]', async () => {
    await start({ expiresIn: null })
    const { provider } = world.connect()
    await provider.authorize()
    world.clock.advance(10 ** 12)
    expect(provider.context.isTokenValid()).toBe(true)
    expect(provider.context.tokenExpiresAt).toBeUndefined()
  })

  it('has a lock that renewals wait for [pack.modules-public]', async () => {
    await start()
    const { provider } = world.connect()
    await provider.authorize()
    world.expireTokens()
    world.forget()
    let open: () => void = () => undefined
    const held = provider.context.lock.run(() => new Promise<void>((resolve) => (open = resolve)))
    const waiting = provider.getAccessToken()
    await new Promise((resolve) => setImmediate(resolve))
    expect(world.journal).toEqual([])
    open()
    await held
    expect(await waiting).toBe(world.liveAccessToken())
  })

  it('gives by getResourceUrl() the metadata’s resource where that covers the server URL, else the server URL [pack.modules-public] [resource.without-prm]', async () => {
    await start({ path: '/api/mcp' })
    const { provider } = world.connect()
    expect(provider.context.getResourceUrl()).toBe(world.serverUrl)
    const parent = `${world.origin.rs}/api`
    world.answer('prm', { body: { resource: parent, authorization_servers: [world.issuer] } })
    await provider.authorize()
    expect(provider.context.getResourceUrl()).toBe(parent)
    const canonical = new OAuthClientProvider(world.options({ serverUrl: 'HTTPS://API.Example.com/MCP#x' }))
    expect(canonical.context.getResourceUrl()).toBe('https://api.example.com/MCP')
  })

  it('includes the resource parameter where metadata is known, or the protocol version is 2025-06-18 or later [pack.modules-public] [resource.legacy]', async () => {
    await start({ legacy: 'metadata' })
    const versions = [
      undefined,
      '2024-11-05',
      '2025-03-26',
      '2025-06-17',
      '2025-06-18',
      '2025-11-25',
      '2026-07-28',
    ] as const
    const answers = (context: OAuthContext): boolean[] =>
      versions.map((version) => context.shouldIncludeResourceParam(version))
    const { provider } = world.connect()
    expect(answers(provider.context)).toEqual([false, false, false, false, true, true, true])
    await provider.authorize()
    expect(answers(provider.context)).toEqual([false, false, false, false, true, true, true])
    await world.stop()
    await start()
    const modern = world.connect()
    await modern.provider.authorize()
    expect(answers(modern.provider.context)).toEqual(Array(7).fill(true))
    expect(answers(world.connect({ resource: false }).provider.context)).toEqual(Array(7).fill(false))
  })
})

describe('PkceParameters', () => {
  beforeEach(() => start())

  it('generates 128 unreserved characters and their S256 challenge, each time anew [pack.modules-public] [pkce.verifier-shape] [pkce.s256-always]', async () => {
    const pairs = await Promise.all(Array.from({ length: 50 }, () => PkceParameters.generate()))
    for (const { codeVerifier, codeChallenge, codeChallengeMethod } of pairs) {
      expect(codeVerifier).toMatch(/^[A-Za-z0-9\-._~]{128}$/)
      expect(codeChallenge).toBe(createHash('sha256').update(codeVerifier).digest('base64url'))
      expect(codeChallengeMethod).toBe('S256')
    }
    expect(new Set(pairs.map(({ codeVerifier }) => codeVerifier)).size).toBe(50)
  })

  it('draws every character equally often [pkce.verifier-shape]', async () => {
    const pairs = await Promise.all(Array.from({ length: 400 }, () => PkceParameters.generate()))
    const counts = new Map<string, number>()
    for (const character of pairs.map(({ codeVerifier }) => codeVerifier).join('')) {
      counts.set(character, (counts.get(character) ?? 0) + 1)
    }
    const expected = (400 * 128) / 66
    expect(counts.size).toBe(66)
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // 65 degrees of freedom: beyond 130 once in half a million runs. 256 % 66 taken without rejection gives about 480.
    expect(chiSquare).toBeLessThan(130)
  })
})

describe('the parts', () => {
  beforeEach(() => start())

  it('are exported: provider, verbs, context, grants and storages [pack.modules-public]', () => {
    const classes = [
      OAuthClientProvider,
      OAuthContext,
      Discovery,
      Registrar,
      PkceFlow,
      TokenEndpoint,
      MemoryTokenStorage,
    ]
    for (const part of classes) expect(part.prototype.constructor).toBe(part)
    for (const make of [
      'authorizationCode',
      'clientCredentials',
      'jwtBearer',
      'tokenExchange',
      'deviceCode',
      'enterpriseManaged',
    ] as const) {
      expect(publicModules[make]).toBeInstanceOf(Function)
    }
    expect(authorizationCode().kind).toBe('interactive')
    expect(clientCredentials().kind).toBe('silent')
    expect(fromTokenStorage).toBeInstanceOf(Function)
  })

  it('work one by one over a lease: discover, register, begin, complete [pack.modules-public]', async () => {
    const { context } = new OAuthClientProvider(world.options())
    const discovery = new Discovery(context)
    const registrar = new Registrar(context)
    const tokenEndpoint = new TokenEndpoint(context)
    const flow = new PkceFlow({ context, discovery, registrar, tokenEndpoint })
    const server = await context.exclusive((lease) => discovery.discover(lease, {}))
    expect(server.issuer).toBe(world.issuer)
    expect(world.steps()).toEqual(['prm 200', 'as-metadata 200'])
    const client = await context.exclusive((lease) =>
      registrar.register(lease, { server, scope: undefined, redirectUri: world.redirectUri, interactive: true }),
    )
    expect(world.count('register')).toBe(1)
    const signIn = await context.exclusive((lease) => flow.begin(lease, {}))
    expect(new URL(signIn.authorizationUrl).searchParams.get('client_id')).toBe(client.client_id)
    const callback = await world.user.visit(signIn.authorizationUrl)
    const tokens = await context.exclusive((lease) => flow.complete(lease, callback))
    expect(tokens.access_token).toBe(world.liveAccessToken())
    expect(context.currentTokens).toEqual(tokens)
    expect(world.count('register')).toBe(1)
  })

  it('refuse a lease whose work has settled [pack.modules-public]', async () => {
    const { context } = new OAuthClientProvider(world.options())
    let kept: Lease | undefined
    await context.exclusive((lease) => {
      kept = lease
      return Promise.resolve()
    })
    const late = new Discovery(context).discover(kept as unknown as Lease, {})
    await expect(late).rejects.toMatchObject({ code: 'OAUTH_STORE_LOCK' })
    expect(world.journal).toEqual([])
  })
})

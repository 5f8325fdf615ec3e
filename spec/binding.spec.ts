import { clientCredentials, fromTokenStorage, type OAuthOptions } from 'axios-oauth2'
import { failureOf } from './support/failure-of'
import { ObservedStorage } from './support/observed-storage'
import { startWorld, withMembers, type Entry, type World, type WorldOptions } from './support/world'

const documentUrl = 'https://client.example/oauth/metadata.json'

let world: World
/** Another honest authorization server, to which the resource of `world` may move. */
let successor: World
let storage: ObservedStorage

beforeEach(() => start())
afterEach(() => stop())

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  successor = await startWorld(o)
  storage = new ObservedStorage()
}

async function stop(): Promise<void> {
  await world.stop()
  await successor.stop()
}

async function restart(o: WorldOptions): Promise<void> {
  await stop()
  await start(o)
}

/** The resource names another authorization server and takes only its tokens; the function takes that back. */
function moveTo(issuer: string): () => void {
  const location = new URL('/.well-known/oauth-protected-resource/mcp?moved', world.serverUrl).href
  const refusal = { status: 401, headers: { 'WWW-Authenticate': `Bearer resource_metadata="${location}"` } }
  const undo = [
    world.answer('prm', withMembers({ authorization_servers: [issuer] })),
    world.answer('api', (entry) => (accepts(entry) ? { body: 'welcome' } : refusal)),
  ]
  world.clock.advance(10_000)
  return () => {
    for (const one of undo) one()
    world.clock.advance(1)
  }
}

function accepts({ headers }: Entry): boolean {
  const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
  try {
    return token === successor.liveAccessToken()
  } catch {
    return false
  }
}

/** The person signs in at whichever server. */
function person(): Partial<OAuthOptions> {
  const { redirectHandler, callbackHandler } = world.user
  return { redirectHandler, callbackHandler }
}

/** What came after discovery. */
function steps(server: World): string[] {
  return server.steps().filter((step) => !/^(prm|as-metadata|openid)/.test(step))
}

/** Everything of the honest server that evil has seen. */
function leaked(): string[] {
  return world.leaksIn(
    world.journal
      .filter(({ server }) => server === 'evil')
      .map(({ url, headers, body }) => [url, headers, body.toString()]),
  )
}

function at(server: string): Entry[] {
  return world.journal.filter((entry) => entry.server === server)
}

describe('a registered client', () => {
  beforeEach(() => restart({ authMethods: ['client_secret_post'] }))

  it('is registered anew at another authorization server, which sees nothing of the old one [binding.client] [binding.tokens] [PR-52]', async () => {
    await world.connect({ storage }).api.get('')
    const [{ client } = {}] = storage.records('grant') as { client?: { client_id: string; client_secret: string } }[]
    moveTo(successor.issuer)
    expect((await world.connect({ storage, ...person() }).api.get('')).status).toBe(200)
    expect(steps(successor)).toEqual(['register 201', 'authorize 302', 'token 200'])
    const seen = JSON.stringify(successor.journal.map(({ url, headers, body }) => [url, headers, body.toString()]))
    expect(seen).not.toContain(client?.client_id)
    expect(world.leaksIn(seen).filter((secret) => !successor.secrets().includes(secret))).toEqual([])
    expect(storage.holds(client?.client_secret ?? '')).toBe(true)
  })

  it('is found again with its tokens when the resource returns to the first server [binding.independent]', async () => {
    const { api } = world.connect({ storage, ...person() })
    await api.get('')
    const goBack = moveTo(successor.issuer)
    await api.get('')
    goBack()
    world.forget()
    expect((await api.get('')).status).toBe(200)
    expect(world.count('register')).toBe(0)
    expect(world.requests('token').map(({ form }) => form?.get('grant_type'))).toEqual(['refresh_token'])
    expect(successor.count('register')).toBe(1)
    expect(world.user.visits).toHaveLength(2)
  })

  it('of a machine is not made anew at another server [binding.client]', async () => {
    const clientInformation = world.addClient({ token_endpoint_auth_method: 'client_secret_post' })
    const o = { storage, clientInformation, grant: clientCredentials() }
    await world.connect(o).api.get('')
    world.expireTokens()
    moveTo(world.origin.evil)
    const error = await failureOf(world.connect({ ...o, metadataMaxAge: 0 }).api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(at('evil').filter(({ method }) => method !== 'GET')).toEqual([])
    expect(leaked()).toEqual([])
  })

  it.each(['register', 'token'] as const)(
    'is bound to its issuer, whatever a %s response says of issuers [binding.echo-ignored] [RG-09]',
    async (endpoint) => {
      const { evil } = world.origin
      world.answer(endpoint, withMembers({ issuer: evil, iss: evil, token_endpoint: `${evil}/token` }))
      await world.connect({ storage }).api.get('')
      world.expireTokens()
      world.forget()
      await world.connect({ storage }).api.get('')
      expect(world.steps()).toEqual(['token 200', 'api 200'])
      expect(at('evil')).toEqual([])
    },
  )
})

describe('tokens', () => {
  it('of the former server are neither attached nor renewed once the change is known [binding.tokens] [PR-18] [PR-52]', async () => {
    const { api, provider } = world.connect({ storage, interactive: false })
    await provider.finishAuthorization(await world.user.visit((await provider.startAuthorization()).url))
    await api.get('')
    moveTo(world.origin.evil)
    await provider.startAuthorization()
    world.forget()
    const error = await failureOf(api.get(''))
    expect(['OAUTH_REAUTH_REQUIRED', 'OAUTH_AUTHORIZATION_REQUIRED']).toContain(error.code)
    expect(world.requests('api').map(({ headers }) => headers.authorization)).toEqual([undefined])
    expect(world.count('token')).toBe(0)
    expect(error.authorizationUrl).toContain(world.origin.evil)
    expect(leaked()).toEqual([])
  })

  it('and clients of the honest server do not reach evil when the resource begins to name it [PR-18] [binding.client]', async () => {
    await world.connect({ storage }).api.get('')
    moveTo(world.origin.evil)
    await world
      .connect({ storage, ...person(), timeout: 50 })
      .api.get('')
      .catch(() => undefined)
    expect(at('evil').flatMap(({ method, endpoint }) => (method === 'POST' ? [endpoint] : []))).toEqual([
      'register',
      'token',
    ])
    const own = new Set(
      at('evil').flatMap(({ form, url }) => [...fieldsOf(form), ...fieldsOf(new URL(url, 'http://e').searchParams)]),
    )
    expect(leaked().filter((secret) => !own.has(secret))).toEqual([])
    expect(JSON.stringify(at('evil').map(({ body, url }) => url + body.toString()))).not.toMatch(
      /client-|refresh-|access-|"?code-/,
    )
  })

  it('stay in use when evil was named only for a while, and nobody is asked [binding.independent] [PR-52]', async () => {
    const { api } = world.connect({ storage, interactive: false })
    await world.connect({ storage }).api.get('')
    await api.get('')
    const goBack = moveTo(world.origin.evil)
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }), {
      when: ({ server }) => server === 'evil',
    })
    await failureOf(api.get(''))
    goBack()
    world.forget()
    expect((await api.get('')).status).toBe(200)
    expect(world.user.visits).toHaveLength(1)
    expect(world.count('register')).toBe(0)
  })

  it('stay in use after a sign-in at another server that came to nothing, and nobody is asked [binding.independent] [PR-52]', async () => {
    const { api, provider } = world.connect({ storage })
    await api.get('')
    const undo = [
      world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] })),
      world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }), {
        when: ({ server }) => server === 'evil',
      }),
    ]
    world.clock.advance(1)
    await expect(provider.authorize()).rejects.toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED' })
    for (const one of undo) one()
    world.clock.advance(1)
    expect((await api.get('')).status).toBe(200)
    expect(world.user.visits).toHaveLength(1)
  })
})

function fieldsOf(parameters: URLSearchParams | undefined): string[] {
  return ['state', 'code', 'code_verifier', 'client_secret', 'refresh_token'].flatMap(
    (name) => parameters?.getAll(name) ?? [],
  )
}

describe('a static client', () => {
  it('is never replaced, and its invalid_client reaches the caller unchanged [static.never-deleted] [RG-17]', async () => {
    const clientInformation = world.addClient()
    const { api } = world.connect({ storage, clientInformation })
    await api.get('')
    world.forgetClients()
    world.expireTokens()
    world.forget()
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({
      name: 'OAuthTokenError',
      code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
      oauthError: 'invalid_client',
      status: 401,
    })
    expect([world.count('register'), world.count('authorize'), world.count('token')]).toEqual([0, 0, 1])
    expect(storage.records('tokens')).toHaveLength(1)
  })

  it('is never stored with its secret [static.never-deleted]', async () => {
    const clientInformation = world.addClient()
    await world.connect({ storage, clientInformation }).api.get('')
    expect(storage.holds(clientInformation.client_secret ?? '')).toBe(false)
  })

  it.each<[string, (issuer: string) => Partial<OAuthOptions>]>([
    ['its own', (issuer) => ({ clientInformation: { ...world.addClient(), issuer } })],
    ['the provider', (issuer) => ({ clientInformation: world.addClient(), issuer })],
  ])(
    'with the issuer of %s is refused when the resource names another, before anything is sent [static.issuer-bound] [PR-19]',
    async (_name, options) => {
      world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
      const o = options(world.issuer)
      for (const grant of [undefined, clientCredentials()]) {
        const error = await failureOf(world.connect({ ...o, ...(grant && { grant }) }).api.get(''))
        expect(error).toMatchObject({ name: 'OAuthDiscoveryError', code: 'OAUTH_AS_CHANGED' })
      }
      expect(at('evil')).toEqual([])
      expect(world.user.visits).toEqual([])
    },
  )

  it('with an issuer is not used in the legacy mode [static.issuer-bound] [PR-19]', async () => {
    await restart({ legacy: 'endpoints' })
    const clientInformation = { ...world.addClient(), issuer: world.origin.as }
    const error = await failureOf(world.connect({ clientInformation }).api.get(''))
    expect(error.name).toBe('OAuthDiscoveryError')
    expect([world.count('token'), world.user.visits.length]).toEqual([0, 0])
  })

  it('with a secret and no issuer is not used in the legacy mode either [static.issuer-bound] [static.pinned] [PR-19]', async () => {
    await restart({ legacy: 'metadata' })
    const clientInformation = world.addClient()
    for (const grant of [undefined, clientCredentials()]) {
      const error = await failureOf(world.connect({ clientInformation, ...(grant && { grant }) }).api.get(''))
      expect(error).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    }
    expect([world.count('token'), world.user.visits.length]).toEqual([0, 0])
  })

  it.each<[string, Partial<OAuthOptions>]>([
    ['a person', {}],
    ['a machine', { grant: clientCredentials() }],
  ])(
    'of %s with a secret is pinned to the server of its first use, over a restart [static.pinned] [PR-19]',
    async (_name, o) => {
      const options = { storage, clientInformation: world.addClient(), metadataMaxAge: 0, ...o }
      await world.connect(options).api.get('')
      world.expireTokens()
      world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
      const error = await failureOf(world.connect(options).provider.authorize())
      expect(error).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
      expect(at('evil').filter(({ method }) => method !== 'GET')).toEqual([])
      expect(leaked()).toEqual([])
    },
  )

  it('is pinned at its first use, even if that failed [static.pinned]', async () => {
    const options = { storage, clientInformation: world.addClient(), grant: clientCredentials() }
    world.answer('token', { status: 400, body: { error: 'invalid_scope' } }, { times: 1 })
    await failureOf(world.connect(options).api.get(''))
    world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
    await expect(world.connect(options).api.get('')).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(at('evil').filter(({ method }) => method !== 'GET')).toEqual([])
  })

  it('is pinned to the token endpoint as well [static.pinned]', async () => {
    const options = { storage, clientInformation: world.addClient() }
    await world.connect(options).api.get('')
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.origin.evil}/token` }))
    const error = await failureOf(world.connect(options).provider.authorize())
    expect(error).toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect([at('evil').length, world.user.visits.length]).toEqual([0, 1])
  })

  it('is not pinned for another partition, which is another user of it [static.pinned] [storage.partition]', async () => {
    const clientInformation = world.addClient()
    await world.connect({ storage, clientInformation, partition: 'a' }).api.get('')
    const moved = successor.addClient()
    moveTo(successor.issuer)
    const { api } = world.connect({ storage, clientInformation: moved, partition: 'b', ...person() })
    expect((await api.get('')).status).toBe(200)
  })
})

describe('a client by metadata document', () => {
  beforeEach(() => restart({ cimd: true }))

  it('is used at a new server without registration, its tokens are not [binding.cimd-portable] [binding.tokens]', async () => {
    const { api } = world.connect({ storage, clientMetadataUrl: documentUrl, ...person() })
    await api.get('')
    moveTo(successor.issuer)
    expect((await api.get('')).status).toBe(200)
    expect(steps(successor)).toEqual(['authorize 302', 'token 200'])
    expect(successor.requests('token')[0]?.form?.get('client_id')).toBe(documentUrl)
    expect(world.count('register')).toBe(0)
  })

  it('is not what a registered id is that looks like a URL [binding.cimd-portable] [binding.client]', async () => {
    const client_id = 'https://registered.example/client'
    world.answer('register', async (_request, honest) => {
      const answer = await honest()
      return { ...answer, body: { ...(answer.body as object), client_id } }
    })
    const { api } = world.connect({ storage, ...person() })
    await api.get('')
    expect(world.requests('token')[0]?.form?.get('client_id')).toBe(client_id)
    moveTo(successor.issuer)
    expect((await api.get('')).status).toBe(200)
    expect(successor.count('register')).toBe(1)
    expect(JSON.stringify(successor.journal.map(({ url, body }) => url + body.toString()))).not.toContain(
      'registered.example',
    )
  })
})

describe('what another SDK has stored, without an issuer,', () => {
  it('is sent nowhere; the client registers and signs in anew [binding.unstamped] [RG-19]', async () => {
    const memory: { tokens?: object; client?: object } = {
      tokens: {
        access_token: 'foreign-access',
        token_type: 'Bearer',
        refresh_token: 'foreign-refresh',
        expires_in: 3600,
      },
      client: { client_id: 'foreign-client', client_secret: 'foreign-secret', redirect_uris: [world.redirectUri] },
    }
    const four = {
      getTokens: () => memory.tokens,
      setTokens: (tokens: object) => void (memory.tokens = tokens),
      getClientInfo: () => memory.client,
      setClientInfo: (client: object) => void (memory.client = client),
    }
    expect((await world.connect({ storage: fromTokenStorage(four) }).api.get('')).status).toBe(200)
    expect(
      JSON.stringify(world.journal.map(({ url, headers, body }) => [url, headers, body.toString()])),
    ).not.toContain('foreign-')
    expect([world.count('register'), world.user.visits.length]).toEqual([1, 1])
    expect(JSON.stringify(memory)).not.toContain('foreign-')
  })
})

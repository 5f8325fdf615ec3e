import { clientCredentials, MemoryTokenStorage, type TokenStorage } from 'axios-oauth2'
import {
  startWorld,
  withMembers,
  type Answering,
  type Connection,
  type ConnectOptions,
  type World,
} from './support/world'

const hour = 3_600_000
const metadata = ['prm 200', 'as-metadata 200']

let world: World
let storage: TokenStorage & { readonly records: Map<string, string> }

beforeEach(async () => {
  world = await startWorld()
  storage = recorded()
})
afterEach(() => world.stop())

/** A storage whose records the spec can look at and change. */
function recorded(): typeof storage {
  const records = new Map<string, string>()
  return {
    records,
    get: (key) => Promise.resolve(records.get(key)),
    set: (key, value) => Promise.resolve(void records.set(key, value)),
    delete: (key) => Promise.resolve(void records.delete(key)),
  }
}

/** Changes what is recorded about the authorization server of a grant. */
function tamper(change: (server: Record<string, unknown>) => void): void {
  for (const [key, value] of storage.records) {
    const record = JSON.parse(value) as { kind: string; server: Record<string, unknown> }
    if (record.kind !== 'grant') continue
    change(record.server)
    storage.records.set(key, JSON.stringify(record))
  }
}

/** A process of its own: a provider that knows nothing but the storage. */
function process(o: ConnectOptions = {}): Connection {
  return world.connect({ storage, ...o })
}

function machine(o: ConnectOptions = {}): Connection {
  const { redirect_uris: _, ...clientInformation } = client
  return process({
    grant: clientCredentials(),
    clientInformation: { ...clientInformation, issuer: world.issuer },
    ...o,
  })
}

let client: ReturnType<World['addClient']>
beforeEach(() => {
  client = world.addClient()
})

function announce(location: string | undefined, o: { times: number } = { times: 1 }): void {
  const parameter = location === undefined ? '' : ` resource_metadata="${location}"`
  const headers = { 'WWW-Authenticate': `Bearer${parameter}` }
  world.answer('api', { status: 401, headers }, o)
}

function refuseAll(): void {
  world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } })
}

describe('metadata that was read', () => {
  it('is used again within metadataMaxAge, and read again after it [prm.cached]', async () => {
    const { api } = machine({ metadataMaxAge: 2 * hour })
    await api.get('')
    expect(world.steps()).toEqual(['api 401', ...metadata, 'token 200', 'api 200'])
    world.forget()
    world.expireTokens()
    await api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
    world.forget()
    world.expireTokens()
    await api.get('')
    expect(world.steps()).toEqual([...metadata, 'token 200', 'api 200'])
  })

  it('is used again after a restart [prm.cached]', async () => {
    await machine().api.get('')
    world.forget()
    world.expireTokens()
    await machine().api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('costs a restarted command-line tool nothing while it renews [prm.cached]', async () => {
    await process().api.get('')
    world.forget()
    world.expireTokens()
    await process().api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it.each<[string, (server: Record<string, unknown>) => void]>([
    ['without endpoints', (server) => (server.authorizationServer = {})],
    [
      'without token endpoint',
      (server) => delete (server.authorizationServer as Record<string, unknown>).token_endpoint,
    ],
    [
      'with an endpoint that is no text',
      (server) => Object.assign(server.authorizationServer as object, { token_endpoint: 5 }),
    ],
    [
      'of another issuer',
      (server) => Object.assign(server.authorizationServer as object, { issuer: 'https://other.example' }),
    ],
    [
      'with a plain-text token endpoint',
      (server) =>
        Object.assign(server.authorizationServer as object, { token_endpoint: 'http://as.example.test/token' }),
    ],
  ])('is read again when what was stored is damaged: %s [prm.cached]', async (_name, change) => {
    for (const connect of [machine, process]) {
      storage.records.clear()
      await connect().api.get('')
      world.forget()
      world.expireTokens()
      tamper(change)
      await expect(connect().api.get('')).resolves.toMatchObject({ status: 200 })
      expect(world.steps()).toEqual([...metadata, 'token 200', 'api 200'])
    }
  })

  it('does not fail a request by being old during an outage of the metadata only [prm.cached]', async () => {
    const { api } = process({ metadataMaxAge: 0 })
    await api.get('')
    world.expireTokens()
    world.answer('prm', { status: 503 })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe('a challenge that announces another location', () => {
  it('has the metadata read again before a refresh token is used [prm.cache-stale-location PR-52]', async () => {
    const { api } = process()
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    const moved: Answering = { body: { resource: world.serverUrl, authorization_servers: [world.origin.evil] } }
    world.answer('other', moved)
    announce(`${world.origin.rs}/moved`)
    world.user.deny()
    const before = world.secrets()
    await api.get('').catch(() => undefined)
    expect(world.steps().slice(0, 2)).toEqual(['api 401', 'other 200'])
    const told = world.journal.filter(({ server }) => server === 'evil')
    expect(told.map(({ endpoint }) => endpoint)).not.toContain('revoke')
    const old = before.filter((secret) => /^(access|refresh|code)-/.test(secret))
    expect(
      told.flatMap(({ body, url, headers }) =>
        old.filter((secret) => `${url} ${body.toString()} ${headers.authorization}`.includes(secret)),
      ),
    ).toEqual([])
  })

  it('has the metadata read again before a secret is used [prm.cache-stale-location PR-19]', async () => {
    const { api } = machine()
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.origin.evil] } })
    announce(`${world.origin.rs}/moved`)
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(world.steps()).toEqual(['api 401', 'other 200'])
  })

  it('costs one reading for one refusal, whatever it leads to [prm.reread-before-login prm.cache-stale-location]', async () => {
    const { api } = process()
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    world.endSession()
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    announce(`${world.origin.rs}/moved`)
    await api.get('')
    expect(world.steps()).toEqual([
      'api 401',
      'other 200',
      'as-metadata 200',
      'token 400',
      'authorize 302',
      'token 200',
      'api 200',
    ])
  })

  it('that is the same as before costs no reading [prm.cached]', async () => {
    const { api } = process()
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
  })
})

describe('a sign-in', () => {
  it('reads the metadata again and follows the resource to a new server, without what belongs to the old [prm.reread-before-login PR-18 PR-52]', async () => {
    const { api } = process()
    await api.get('')
    const before = world.secrets()
    world.forget()
    world.revokeAccessTokens()
    world.endSession()
    world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
    // The resource does not accept what evil issues.
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    const told = world.journal.filter(({ server }) => server === 'evil')
    expect(told.map(({ endpoint }) => endpoint)).toEqual(['as-metadata', 'register', 'authorize', 'token'])
    const text = JSON.stringify(told.map(({ url, body, headers }) => [url, body.toString(), headers]))
    expect(before.filter((secret) => text.includes(secret))).toEqual([])
    const clients = world
      .requests('authorize')
      .map(({ url }) => new URLSearchParams(url.split('?')[1]).get('client_id'))
    expect(clients).toEqual(['evil-client'])
  })

  it('with a client that cannot be made anew does not follow [PR-18 PR-19]', async () => {
    const { redirect_uris: _, ...clientInformation } = client
    const { api } = process({ clientInformation })
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    world.endSession()
    world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    const told = world.journal.filter(({ server }) => server === 'evil')
    expect(told.map(({ method }) => method)).toEqual(['GET'])
    expect(world.leaksIn(told)).toEqual([])
    expect(JSON.stringify(told.map(({ url, headers }) => [url, headers]))).not.toContain(client.client_id)
  })

  it('after a restart asks where the resource announced its metadata [prm.reread-before-login challenge.no-erase]', async () => {
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    world.answer('prm', { status: 404 })
    announce(`${world.origin.rs}/custom`)
    await process().api.get('')
    world.expireTokens()
    world.endSession()
    world.forget()
    await process().api.get('')
    expect(world.steps()).toEqual([
      'token 400',
      'other 200',
      'as-metadata 200',
      'authorize 302',
      'token 200',
      'api 200',
    ])
  })
})

describe('a token that was never accepted', () => {
  it('makes the next renewal discover anew [prm.rejected-fresh-token]', async () => {
    const { api } = process()
    const undo = world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.steps()).toEqual(['api 401', ...metadata, 'register 201', 'authorize 302', 'token 200', 'api 401'])
    undo()
    world.forget()
    world.clock.advance(11_000)
    world.revokeAccessTokens()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', ...metadata, 'token 200', 'api 200'])
  })

  it('makes the next renewal discover anew when it has expired meanwhile [prm.rejected-fresh-token]', async () => {
    const { api } = process()
    refuseAll()
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    world.forget()
    world.expireTokens()
    await api.get('').catch(() => undefined)
    expect(world.steps()).toEqual([...metadata, 'token 200', 'api 401'])
  })

  it('is told from one that was accepted before, which is renewed at once [prm.rejected-fresh-token]', async () => {
    const { api } = process({ storage: new MemoryTokenStorage() })
    await api.get('')
    world.forget()
    world.revokeAccessTokens()
    await api.get('')
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
  })
})

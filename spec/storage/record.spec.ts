import type { OAuthClientProvider } from 'axios-oauth2'
import { failureOf } from '../support/failure-of'
import { ObservedStorage } from '../support/observed-storage'
import { startWorld, withMembers, type World, type WorldOptions } from '../support/world'

let world: World
let storage: ObservedStorage

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  storage = new ObservedStorage()
}

beforeEach(() => start())
afterEach(() => world.stop())

describe('what is stored of a session', () => {
  it('is one record with everything that the next process needs [storage.one-record]', async () => {
    await world.stop()
    await start({ authMethods: ['client_secret_basic'], requireScope: 'read' })
    await world.connect({ storage }).api.get('')
    const records = storage.records('grant')
    expect(records).toEqual([
      expect.objectContaining({
        kind: 'grant',
        version: 1,
        revision: expect.any(Number) as number,
        server: expect.objectContaining({
          issuer: world.issuer,
          resource: world.serverUrl,
          authorizationServer: expect.objectContaining({ token_endpoint: `${world.issuer}/token` }) as object,
        }) as object,
        client: expect.objectContaining({
          source: 'dynamic',
          client_secret: expect.stringMatching(/^secret-/) as string,
          token_endpoint_auth_method: 'client_secret_basic',
        }) as object,
        tokens: expect.objectContaining({
          access_token: world.liveAccessToken(),
          expiresAt: world.clock.now() + 3_600_000,
          scope: 'read',
        }) as object,
      }),
    ])
    world.expireTokens()
    world.forget()
    await world.connect({ storage, interactive: false }).api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
    const [{ headers, form } = {}] = world.requests('token')
    expect(headers?.authorization).toMatch(/^Basic /)
    expect(form?.get('resource')).toBe(world.serverUrl)
  })

  it('counts its writes [storage.one-record]', async () => {
    await world.connect({ storage }).api.get('')
    const [{ revision: before } = {}] = storage.records('grant')
    world.expireTokens()
    await world.connect({ storage }).api.get('')
    const [{ revision: after } = {}] = storage.records('grant')
    expect(Number(after)).toBeGreaterThan(Number(before))
  })

  it('is stored before the first request uses it, at a sign-in [storage.persist-then-use]', async () => {
    const gate = storage.hold('tokens')
    const { api } = world.connect({ storage })
    const requests = [api.get(''), api.get('')]
    await gate.arrived
    const late = api.get('')
    const challenged = world.hold('api')
    await challenged.arrived
    challenged.release()
    expect(world.requests('api').filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    gate.release()
    for (const { status } of await Promise.all([...requests, late])) expect(status).toBe(200)
    expect(world.count('token')).toBe(1)
  })

  it('is stored before the first request uses it, at a renewal [storage.persist-then-use]', async () => {
    const { api } = world.connect({ storage })
    await api.get('')
    world.expireTokens()
    world.forget()
    const gate = storage.hold('tokens')
    const request = api.get('')
    const record = await gate.arrived
    expect(record.tokens).toMatchObject({ access_token: world.liveAccessToken() })
    expect(world.steps()).toEqual(['token 200'])
    gate.release()
    await request
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })
})

describe('the key of a session', () => {
  const signedIn = async (): Promise<void> => {
    await world.connect({ storage }).api.get('')
    world.forget()
  }

  it.each<[string, () => Parameters<World['connect']>[0]]>([
    ['display name', () => ({ clientMetadata: { client_name: 'New', redirect_uris: [world.redirectUri] } })],
    ['software version', () => ({ clientMetadata: { redirect_uris: [world.redirectUri], software_version: '9.9' } })],
    ['callback port', () => ({ clientMetadata: { redirect_uris: ['http://127.0.0.1:1/callback'] } })],
    ['callback', () => ({ clientMetadata: { redirect_uris: ['https://app.example/cb'] } })],
    ['spelling of the server', () => ({ serverUrl: world.serverUrl.replace('http:', 'HTTP:') })],
    ['scope', () => ({ scope: 'read' })],
  ])('does not contain the %s: another one finds the session [storage.key]', async (_name, change) => {
    await signedIn()
    expect((await world.connect({ storage, interactive: false, ...change() }).api.get('')).status).toBe(200)
    expect(world.steps()).toEqual(['api 200'])
  })

  it('does not contain the slash of a bare issuer [storage.key]', async () => {
    await signedIn()
    world.answer('prm', withMembers({ authorization_servers: [`${world.issuer}/`] }))
    world.answer('as-metadata', withMembers({ issuer: `${world.issuer}/` }))
    world.answer('authorize', async (_request, honest) => {
      const answer = await honest()
      const location = new URL(String(answer.headers?.['Location']))
      location.searchParams.set('iss', `${world.issuer}/`)
      return { ...answer, headers: { Location: location.href } }
    })
    await world.connect({ storage }).provider.authorize()
    expect(world.count('register')).toBe(0)
    expect(storage.records('grant')).toHaveLength(1)
  })

  it.each<[string, () => Parameters<World['connect']>[0]]>([
    [
      'server URL',
      () => {
        const { issuer } = world
        const serverUrl = `${world.serverUrl}/other`
        world.answer('prm', { body: { resource: serverUrl, authorization_servers: [issuer] } })
        return { serverUrl }
      },
    ],
    ['partition', () => ({ partition: 'other' })],
    ['client', () => ({ clientInformation: world.addClient() })],
    ['configured issuer', () => ({ issuer: world.issuer })],
  ])('contains the %s: another one is another session [storage.key]', async (_name, change) => {
    await signedIn()
    const { provider } = world.connect({ storage, interactive: false, ...change() })
    expect((await failureOf(provider.getAccessToken())).code).toBe('OAUTH_AUTHORIZATION_REQUIRED')
  })

  it('is a digest that names nothing [storage.key]', async () => {
    await world.connect({ storage, partition: 'alice@example.com' }).api.get('')
    expect(storage.entries.size).toBeGreaterThan(1)
    for (const key of storage.entries.keys()) expect(key).toMatch(/^[\w-]{43}$/)
  })

  it('leads to eight registrations at most: the oldest leaves nothing behind [storage.key] [dcr.redirect-drift]', async () => {
    for (let count = 0; count < 12; count += 1) {
      const clientMetadata = { redirect_uris: [`http://127.0.0.1:8765/${count}`] }
      await world.connect({ storage, clientMetadata }).provider.authorize()
    }
    expect(world.count('register')).toBe(12)
    expect(storage.records('grant')).toHaveLength(8)
  })
})

describe('two partitions on one server', () => {
  const userOf = (partition: string): OAuthClientProvider =>
    world.connect({ storage, partition, interactive: false }).provider

  it('have clients, tokens and transactions of their own [storage.partition]', async () => {
    const [alice, bob] = [userOf('alice'), userOf('bob')]
    const started = [await alice.startAuthorization(), await bob.startAuthorization()]
    const [forAlice = '', forBob = ''] = await Promise.all(started.map(({ url }) => world.user.visit(url)))
    await expect(alice.finishAuthorization(forBob)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    await expect(bob.finishAuthorization(forAlice)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    await alice.finishAuthorization(forAlice)
    expect((await failureOf(bob.getAccessToken())).code).toBe('OAUTH_AUTHORIZATION_REQUIRED')
    await bob.finishAuthorization(forBob)
    const tokens = await Promise.all([alice.getAccessToken(), bob.getAccessToken()])
    expect(new Set(tokens).size).toBe(2)
    expect(world.count('register')).toBe(2)
    expect(new Set(world.user.visits.map(({ searchParams }) => searchParams.get('client_id'))).size).toBe(2)
  })

  it('do not sign each other out, nor out who has no partition [storage.partition]', async () => {
    const all = [userOf('alice'), userOf('bob'), world.connect({ storage, interactive: false }).provider]
    for (const provider of all) {
      await provider.finishAuthorization(await world.user.visit((await provider.startAuthorization()).url))
    }
    const [alice, bob, nobody] = all
    const before = [await bob?.getAccessToken(), await nobody?.getAccessToken()]
    await alice?.signOut()
    expect([await userOf('bob').getAccessToken(), await nobody?.getAccessToken()]).toEqual(before)
    expect((await failureOf(userOf('alice').getAccessToken())).code).toBe('OAUTH_AUTHORIZATION_REQUIRED')
  })

  it('share neither a renewal nor its tokens [storage.partition]', async () => {
    for (const partition of ['alice', 'bob']) await world.connect({ storage, partition }).api.get('')
    world.expireTokens()
    world.forget()
    const tokens = await Promise.all(['alice', 'bob'].map((partition) => userOf(partition).getAccessToken()))
    expect([world.count('token'), new Set(tokens).size]).toEqual([2, 2])
  })
})

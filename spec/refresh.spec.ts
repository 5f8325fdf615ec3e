import { clientCredentials, fromTokenStorage, type OAuthFlowError } from 'axios-oauth2'
import { ObservedStorage } from './support/observed-storage'
import { mainSteps, rejectionOf, signedIn, steadyRandom } from './support/session'
import {
  startWorld,
  withMembers,
  type Answering,
  type ConnectOptions,
  type Connection,
  type World,
  type WorldOptions,
} from './support/world'

const second = 1000
const hour = 3600 * second

let world: World
let storage: ObservedStorage

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  storage = new ObservedStorage()
}
afterEach(() => world.stop())

/** A session over the observed storage, without jitter. */
function session(o: ConnectOptions = {}): Promise<Connection> {
  return signedIn(world, { storage, random: steadyRandom, ...o })
}

/** Another process over the same storage. */
function process(o: ConnectOptions = {}): Connection {
  return world.connect({ storage, random: steadyRandom, ...o })
}

/** Resolves when a renewal in the background has ended and let go of the lock. */
async function renewalEnds({ provider }: Connection): Promise<'refreshed' | 'refreshFailed'> {
  const event = await new Promise<'refreshed' | 'refreshFailed'>((resolve) => {
    for (const name of ['refreshed', 'refreshFailed'] as const) provider.on(name, () => resolve(name))
  })
  await provider.context.exclusive(() => Promise.resolve())
  return event
}

const invalidGrant = { status: 400, body: { error: 'invalid_grant' } }

function refreshTokensSent(): (string | null | undefined)[] {
  return world
    .requests('token')
    .filter(({ form }) => form?.get('grant_type') === 'refresh_token')
    .map(({ form }) => form?.get('refresh_token'))
}

describe('the lifetime of a token', () => {
  it('counts from the moment the request was started, and is stored and restored [lifetime.absolute]', async () => {
    await start()
    const asked = world.clock.now()
    const gate = world.hold('token')
    const { api, provider } = process()
    const response = api.get('')
    await gate.arrived
    world.clock.advance(20 * second)
    gate.release()
    await response
    expect(provider.context.tokenExpiresAt).toBe(asked + hour)
    const restarted = process()
    expect((await restarted.provider.describe()).expiresAt).toBe(asked + hour)
    world.forget()
    world.clock.advance(hour - 20 * second)
    await restarted.api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it.each([0, -1, '0'])(
    'of %p serves who waited for it and nobody later, with one renewal each [lifetime.zero] [TK-11 TK-12] [LP-09]',
    async (expires_in) => {
      await start()
      world.answer('token', withMembers({ expires_in }))
      const { api, provider } = process()
      await api.get('')
      expect(mainSteps(world)).toEqual(['api 401', 'authorize 302', 'token 200', 'api 200'])
      world.forget()
      await api.get('/a')
      await api.get('/b')
      expect(world.steps()).toEqual(['token 200', 'api 200', 'token 200', 'api 200'])
      world.forget()
      await Promise.all(Array.from({ length: 20 }, (_, n) => api.get(`/${n}`)))
      expect(world.count('token')).toBe(1)
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
      expect(world.user.visits).toHaveLength(1)
      expect(world.reuseDetections).toBe(0)
    },
  )

  it('of nothing is renewed once per request when the API refuses it all the same [lifetime.zero] [TK-11] [LP-01]', async () => {
    await start()
    world.answer('token', withMembers({ expires_in: 0 }))
    const { api } = await session()
    world.answer('api', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
    await expect(api.get('')).rejects.toMatchObject({ status: 401 })
    expect(world.count('token')).toBe(1)
  })

  it.each<[string, unknown]>([
    ['absent', undefined],
    ['null', null],
    ['a word', 'soon'],
    ['digits and letters', '3600abc'],
    ['an exponent', '1e3'],
    ['digits in spaces', ' 5 '],
    ['true', true],
    ['a list', [3600]],
    ['an object', {}],
  ])(
    'that is %s is unknown: the token is used until it is refused [lifetime.unknown] [TK-14 TK-15 TK-18]',
    async (_what, expires_in) => {
      await start({ expiresIn: null })
      world.answer('token', withMembers({ expires_in }))
      const { api, provider } = await session()
      expect(provider.context.tokenExpiresAt).toBeUndefined()
      world.clock.advance(10 * 365 * 24 * hour)
      await api.get('')
      expect(world.steps()).toEqual(['api 200'])
      world.revokeAccessTokens()
      await api.get('')
      expect(world.steps()).toEqual(['api 200', 'api 401', 'token 200', 'api 200'])
    },
  )

  it('that is infinite is unknown, and what is stored can be read again [lifetime.unknown] [TK-17]', async () => {
    await start({ expiresIn: null })
    world.answer('token', async (_request, honest) => {
      const text = JSON.stringify((await honest()).body)
      return { headers: { 'Content-Type': 'application/json' }, body: text.replace('{', '{"expires_in":1e999,') }
    })
    await session()
    expect((await process().provider.describe()).session).toBe('valid')
    expect(storage.records('tokens')).toHaveLength(1)
  })

  it('that a renewal leaves out is unknown from then on: no earlier expiry is kept [lifetime.unknown]', async () => {
    await start()
    const { api, provider } = await session()
    world.expireTokens()
    world.answer('token', withMembers({ expires_in: undefined }), { times: 1 })
    await api.get('')
    expect(provider.context.tokenExpiresAt).toBeUndefined()
    await api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200', 'api 200'])
  })

  it.each<[unknown, number]>([
    ['3600', 3600],
    [1e18, 2 ** 31 - 1],
    ['9'.repeat(30), 2 ** 31 - 1],
    [90.5, 90],
  ])('of %p is %d seconds [lifetime.numbers] [TK-13 TK-16]', async (expires_in, seconds) => {
    await start()
    world.answer('token', withMembers({ expires_in }))
    const { api, provider } = await session()
    expect(provider.context.tokenExpiresAt).toBe(world.clock.now() + seconds * second)
    await api.get('')
    expect(world.steps()).toEqual(['api 200'])
  })

  it('leaves no timer running, whether it was issued or renewed [lifetime.clock] [TK-16]', async () => {
    await start()
    const set = jest.spyOn(globalThis, 'setTimeout')
    const cleared = jest.spyOn(globalThis, 'clearTimeout')
    try {
      const { api } = await session()
      world.expireTokens()
      await api.get('')
      const running = set.mock.results.filter(({ value }) => !cleared.mock.calls.some(([timer]) => timer === value))
      expect(set.mock.calls.length).toBeGreaterThan(0)
      expect(running).toEqual([])
    } finally {
      set.mockRestore()
      cleared.mockRestore()
    }
  })
})

describe('the windows before expiry', () => {
  it.each<[string, number, number, number]>([
    ['an hour', 3600, 300, 30],
    ['four minutes', 240, 60, 24],
  ])(
    'of a token of %s: used as it is, then renewed beside its use, then waited for [refresh.windows] [lifetime.clock]',
    async (_what, expiresIn, advisory, mandatory) => {
      await start({ expiresIn })
      const connection = await session()
      const { api } = connection
      const first = world.liveAccessToken()
      world.clock.advance((expiresIn - advisory) * second - 1)
      await api.get('')
      expect(world.steps()).toEqual(['api 200'])
      world.forget()
      world.clock.advance(1)
      const gate = world.hold('token')
      const ended = renewalEnds(connection)
      await Promise.all(Array.from({ length: 10 }, (_, n) => api.get(`/${n}`)))
      const used = new Set(world.requests('api').map(({ headers }) => headers.authorization))
      expect([...used]).toEqual([`Bearer ${first}`])
      gate.release()
      expect(await ended).toBe('refreshed')
      expect(world.count('token')).toBe(1)
      world.forget()
      world.clock.advance((expiresIn - mandatory) * second)
      const held = world.hold('token')
      const waiting = api.get('')
      await held.arrived
      expect(world.count('api')).toBe(0)
      held.release()
      await waiting
      expect(world.steps()).toEqual(['token 200', 'api 200'])
    },
  )

  it('have a random part that is drawn once per token, also over restarts [refresh.jitter-once]', async () => {
    await start()
    const latest = (bytes: number): Uint8Array => (bytes === 1 ? Uint8Array.of(255) : steadyRandom(bytes))
    await session({ random: latest })
    const later = 0.4 * (300 - 30) * second
    world.clock.advance(hour - 300 * second + later - 2 * second)
    await process().api.get('')
    await process().api.get('')
    expect(world.steps()).toEqual(['api 200', 'api 200'])
    world.clock.advance(2 * second)
    const connection = process()
    const ended = renewalEnds(connection)
    await connection.api.get('')
    expect(await ended).toBe('refreshed')
  })

  it('do not matter to a token that cannot be renewed: it is used until it expires [refresh.no-refresh-token]', async () => {
    await start({ refresh: false })
    const { api, provider } = await session()
    for (const remaining of [200, 20]) {
      world.clock.advance(hour - remaining * second - (world.clock.now() - Date.UTC(2026, 0, 15, 12)))
      await api.get('')
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    }
    world.clock.advance(20 * second - 1)
    await api.get('')
    expect(world.steps()).toEqual(['api 200', 'api 200', 'api 200'])
    expect(world.user.visits).toHaveLength(1)
    world.clock.advance(1)
    await api.get('')
    expect(mainSteps(world).slice(3)).toEqual(['api 401', 'authorize 302', 'token 200', 'api 200'])
  })
})

describe('an expired token', () => {
  it('is renewed before the request is sent [refresh.before-send]', async () => {
    await start()
    const { api } = await session()
    world.clock.advance(hour)
    await api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('is renewed at the token endpoint stored with the grant, after a restart too, and nothing is discovered [refresh.endpoint-known]', async () => {
    await start({ issuerPath: '/tenant/1' })
    await session()
    world.expireTokens()
    await process().api.get('')
    expect(world.order()).toEqual(['as POST /tenant/1/token', 'rs GET /mcp'])
  })

  it('keeps the refresh token, scope, resource and issuer that the answer leaves out [refresh.keeps-old] [TK-22]', async () => {
    await start({ rotation: false, scopesSupported: ['read'] })
    const { api, provider } = await session()
    const before = await provider.describe()
    world.answer('token', withMembers({ scope: undefined }))
    for (let round = 1; round <= 3; round += 1) {
      world.expireTokens()
      await api.get('')
    }
    expect(new Set(refreshTokensSent()).size).toBe(1)
    expect(world.requests('token').map(({ form }) => form?.get('resource'))).toEqual(Array(3).fill(world.serverUrl))
    expect(await provider.describe()).toMatchObject({ scope: 'read', issuer: before.issuer, resource: before.resource })
  })

  it.each(['', null])(
    'keeps the refresh token when the new one is %p [refresh.keeps-old] [TK-23]',
    async (refresh_token) => {
      await start({ rotation: false })
      const { api } = await session()
      world.answer('token', withMembers({ refresh_token }))
      for (let round = 1; round <= 2; round += 1) {
        world.expireTokens()
        await api.get('')
      }
      expect(new Set(refreshTokensSent()).size).toBe(1)
      expect(refreshTokensSent()[0]).toMatch(/^refresh-/)
    },
  )

  it('replaces the refresh token by the one of the answer, which the next renewal uses [refresh.keeps-old]', async () => {
    await start()
    const { api } = await session()
    for (let round = 1; round <= 3; round += 1) {
      world.expireTokens()
      await api.get('')
    }
    expect(new Set(refreshTokensSent()).size).toBe(3)
    expect(world.reuseDetections).toBe(0)
  })

  it('of a half-migrated storage, without the client it belongs to, is never sent anywhere [refresh.client-needed]', async () => {
    await start()
    let tokens: object = { access_token: 'foreign-access', refresh_token: 'foreign-refresh', token_type: 'Bearer' }
    let client: object | undefined
    const migrated = fromTokenStorage({
      getTokens: () => tokens,
      setTokens: (written) => void (tokens = written),
      getClientInfo: () => client,
      setClientInfo: (written) => void (client = written),
    })
    await world.connect({ storage: migrated }).api.get('')
    expect(mainSteps(world)).toEqual(['api 401', 'authorize 302', 'token 200', 'api 200'])
    const sent = world.journal.map(({ headers, body }) => `${headers.authorization} ${body.toString()}`).join(' ')
    expect(sent).not.toContain('foreign')
  })
})

describe('a renewal that fails', () => {
  beforeEach(() => start())

  const failures: readonly (readonly [string, Answering])[] = [
    ['an outage', { status: 503 }],
    ['a lost connection', 'reset'],
    ['a dead refresh token', invalidGrant],
    ['an unknown client', { status: 401, body: { error: 'invalid_client' } }],
    ['no token', { body: {} }],
    ['a redirect', { status: 302, headers: { Location: '/elsewhere' } }],
  ]
  it.each(failures)(
    'by %s before expiry leaves the present token in use, without an error [refresh.unexpired-survives] [CC-04]',
    async (_why, answer) => {
      const connection = await session()
      const { api, provider } = connection
      world.answer('token', answer)
      world.clock.advance(hour - 299 * second)
      const ended = renewalEnds(connection)
      await api.get('/advisory')
      expect(await ended).toBe('refreshFailed')
      world.clock.advance(280 * second)
      await api.get('/mandatory')
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
      expect(world.requests('api').map(({ status }) => status)).toEqual([200, 200])
      expect(world.user.visits).toHaveLength(1)
    },
  )

  it('because the storage fails before expiry leaves the present token in use [refresh.unexpired-survives]', async () => {
    const { api } = await session()
    jest.spyOn(storage, 'get').mockRejectedValue(new Error('the disk is gone'))
    world.clock.advance(hour - 20 * second)
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(1)
  })

  it('for the moment is tried three times, and is then a retryable error that asks nobody and loses nothing [refresh.tries] [refresh.transient-keeps-session] [TK-33]', async () => {
    const { api } = await session()
    const before = new Map(storage.entries)
    world.expireTokens()
    world.answer('token', { status: 503 })
    const error = (await rejectionOf(api.get(''))) as OAuthFlowError
    expect(error).toMatchObject({ name: 'OAuthTokenError', code: 'OAUTH_TEMPORARY', retryable: true, status: 503 })
    expect(error.hint).toContain('authorize()')
    expect(world.steps()).toEqual(['token 503', 'token 503', 'token 503'])
    expect(storage.entries).toEqual(before)
    expect(world.user.visits).toHaveLength(1)
  })

  it.each<[string, Answering]>([
    ['once', { status: 503 }],
    ['without an answer', 'reset'],
    ['because of too many requests', { status: 429, headers: { 'Retry-After': '0' } }],
    ['with an empty 403', { status: 403 }],
  ])('%s is tried again within the same flight, for all who wait [refresh.tries] [TK-32]', async (_how, answer) => {
    const { api } = await session()
    world.expireTokens()
    world.answer('token', answer, { times: 1 })
    await Promise.all(Array.from({ length: 20 }, (_, n) => api.get(`/${n}`)))
    expect(world.count('token')).toBe(2)
    expect(new Set(refreshTokensSent()).size).toBe(1)
    expect(world.user.visits).toHaveLength(1)
  })

  it('backs off at random before another try, and longer each time [refresh.tries]', async () => {
    const quarter = (bytes: number): Uint8Array => (bytes === 1 ? Uint8Array.of(64) : steadyRandom(bytes))
    const { api } = await session({ random: quarter })
    world.expireTokens()
    world.answer('token', { status: 503 })
    const set = jest.spyOn(globalThis, 'setTimeout')
    await rejectionOf(api.get(''))
    const delays = set.mock.calls.map(([, delay]) => delay)
    set.mockRestore()
    expect(delays).toEqual(expect.arrayContaining([250, 500]))
  })

  it.each([
    ['seconds', '1'],
    ['a date', 'Thu, 15 Jan 2026 13:00:02 GMT'],
  ])('waits for the Retry-After of the server, in %s, where that fits [refresh.tries] [TK-31]', async (_how, value) => {
    const { api } = await session()
    world.expireTokens()
    world.answer('token', { status: 503, headers: { 'Retry-After': value } }, { times: 1 })
    const set = jest.spyOn(globalThis, 'setTimeout')
    await api.get('')
    const delays = set.mock.calls.map(([, delay]) => delay)
    set.mockRestore()
    expect(delays).toContain(1000)
    expect(world.steps()).toEqual(['token 503', 'token 200', 'api 200'])
  })

  it.each<[string, string, number]>([
    ['an hour', '3600', hour],
    ['an age', '1000000000000', 24 * hour],
  ])(
    'tells a Retry-After of %s and does not sleep through it; nobody asks again before it is over [refresh.tries] [refresh.pause] [TK-31]',
    async (_what, value, retryAfter) => {
      const { api } = await session()
      world.expireTokens()
      world.answer('token', { status: 429, headers: { 'Retry-After': value } }, { times: 1 })
      expect(await rejectionOf(api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY', retryAfter })
      world.clock.advance(retryAfter - 1)
      expect(await rejectionOf(api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY' })
      expect(world.count('token')).toBe(1)
      world.clock.advance(1)
      await expect(api.get('')).resolves.toMatchObject({ status: 200 })
      expect(world.count('token')).toBe(2)
    },
  )

  it.each(['-5', 'soon'])('has the usual tries under the Retry-After %s [refresh.tries] [TK-31]', async (value) => {
    const { api } = await session()
    world.expireTokens()
    world.answer('token', { status: 429, headers: { 'Retry-After': value } })
    expect(await rejectionOf(api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(world.count('token')).toBe(3)
  })

  it('is not begun again for 3 s: requests fail at once, or use an unexpired token [refresh.pause] [TK-33]', async () => {
    const { api } = await session()
    world.answer('token', { status: 503 })
    world.clock.advance(hour - 20 * second)
    for (let n = 1; n <= 3; n += 1) await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.count('token')).toBe(3)
    world.clock.advance(20 * second)
    expect(await rejectionOf(api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(world.count('token')).toBe(6)
    world.clock.advance(3 * second - 1)
    const errors = await Promise.all([1, 2, 3].map((n) => rejectionOf(api.get(`/${n}`))))
    for (const error of errors) expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    expect(world.count('token')).toBe(6)
    world.clock.advance(1)
    await rejectionOf(api.get(''))
    expect(world.count('token')).toBe(9)
  })

  it('has no say over a session that the person began meanwhile [refresh.pause]', async () => {
    const { api, provider } = await session()
    world.expireTokens()
    world.answer('token', { status: 429, headers: { 'Retry-After': '86400' } }, { times: 1 })
    await rejectionOf(api.get(''))
    await provider.authorize()
    world.expireTokens()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each<[string, Answering]>([
    ['400 invalid_grant', invalidGrant],
    ['400 unauthorized_client', { status: 400, body: { error: 'unauthorized_client' } }],
    ['400 unsupported_grant_type', { status: 400, body: { error: 'unsupported_grant_type' } }],
    ['400 invalid_request', { status: 400, body: { error: 'invalid_request' } }],
    ['400 with a private code', { status: 400, body: { error: 'bad_refresh_token' } }],
    ['400 without a code', { status: 400, body: 'no' }],
    ['401 without a code', { status: 401 }],
    ['403 with a code', { status: 403, body: { error: 'access_denied' } }],
    ['200 invalid_grant', { body: { error: 'invalid_grant' } }],
  ])('by %s ends the refresh token: it is removed and a login follows [refresh.terminal]', async (_how, answer) => {
    const { api } = await session()
    const [before] = storage.records('tokens')
    const { refresh_token: dead } = before?.tokens as { refresh_token: string }
    world.expireTokens()
    const status = (answer as { status?: number }).status ?? 200
    world.answer('token', answer, { times: 1 })
    await api.get('')
    expect(mainSteps(world)).toEqual([`token ${status}`, 'authorize 302', 'token 200', 'api 200'])
    expect(storage.holds(dead)).toBe(false)
  })

  it('by an answer of something in between counts as no at the third in a row [refresh.terminal] [refresh.transient-keeps-session]', async () => {
    const { api } = await session()
    world.expireTokens()
    world.answer('token', { status: 403, body: '<html>firewall</html>' }, { times: 2 })
    await api.get('')
    expect(world.steps()).toEqual(['token 403', 'token 403', 'token 200', 'api 200'])
    world.forget()
    world.expireTokens()
    world.answer('token', { status: 403, body: '<html>firewall</html>' }, { times: 3 })
    await api.get('')
    expect(mainSteps(world)).toEqual(['token 403', 'token 403', 'token 403', 'authorize 302', 'token 200', 'api 200'])
  })

  it.each<[string, Answering]>([
    ['a redirect', { status: 302, headers: { Location: '/login' } }],
    ['a success with a private error code', { body: { error: 'bad_refresh_token' } }],
    ['a success that is no token', { body: { token_type: 'Bearer' } }],
    ['a success that is a page', { body: '<html>' }],
  ])('by %s never ends the session, however often [refresh.transient-keeps-session] [TK-25]', async (_how, answer) => {
    const { api } = await session()
    const before = new Map(storage.entries)
    world.expireTokens()
    const failing = world.answer('token', answer)
    for (let round = 1; round <= 5; round += 1) {
      expect(await rejectionOf(api.get(''))).toMatchObject({ phase: 'token' })
      world.clock.advance(3 * second)
    }
    expect(storage.entries).toEqual(before)
    failing()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('a dead refresh token', () => {
  beforeEach(() => start())

  it('where nobody can be asked is one typed error for all, and nobody goes to the token endpoint until a sign-in [refresh.terminal] [refresh.dead-once] [RF-06] [TK-30]', async () => {
    await session()
    world.endSession()
    world.expireTokens()
    const { api, provider } = process({ interactive: false })
    const reads = jest.spyOn(storage, 'get')
    const errors = await Promise.all(Array.from({ length: 20 }, (_, n) => rejectionOf(api.get(`/${n}`))))
    expect(reads.mock.calls.length).toBeLessThan(100)
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_REAUTH_REQUIRED', retryable: false })
    }
    expect(new Set(errors.map((error) => (error as OAuthFlowError).authorizationUrl)).size).toBe(1)
    expect(world.count('token')).toBe(1)
    const later = await Promise.all(Array.from({ length: 100 }, (_, n) => rejectionOf(api.get(`/${n}`))))
    for (const error of later) expect(error).toMatchObject({ code: 'OAUTH_REAUTH_REQUIRED' })
    expect(world.count('token')).toBe(1)
    const { authorizationUrl = '' } = errors[0] as OAuthFlowError
    await provider.finishAuthorization(await world.user.visit(authorizationUrl))
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('is posted once while the access token lives on, and never again [refresh.dead-once] [refresh.unexpired-survives]', async () => {
    const { api } = await session()
    world.answer('token', invalidGrant)
    world.clock.advance(hour - 20 * second)
    for (let n = 1; n <= 5; n += 1) await api.get('')
    expect(world.count('token')).toBe(1)
  })

  it('is known after a restart by its hash, even when it is back in the store [refresh.dead-once]', async () => {
    const { api } = await session()
    const [before] = storage.records('tokens')
    world.clock.advance(hour - 20 * second)
    world.answer('token', invalidGrant, { times: 1 })
    await api.get('')
    const { refresh_token: dead } = before?.tokens as { refresh_token: string }
    expect(storage.holds(dead)).toBe(false)
    for (const [key, value] of storage.entries) {
      const record = JSON.parse(value) as { kind: string; tokens: object }
      if (record.kind === 'grant') storage.entries.set(key, JSON.stringify({ ...record, tokens: before?.tokens }))
    }
    world.forget()
    world.expireTokens()
    await process().api.get('')
    expect(refreshTokensSent()).toEqual([])
    expect(world.user.visits).toHaveLength(2)
  })

  it('is looked for in the store before it is declared dead: what another process has there is adopted [refresh.reread-before-dead] [RF-05]', async () => {
    await world.stop()
    await start({ reuseDetection: false })
    const slow = await session()
    const quick = process()
    await quick.provider.describe()
    world.expireTokens()
    let arrived = (): void => undefined
    let release = (): void => undefined
    const isThere = new Promise<void>((resolve) => (arrived = resolve))
    const goOn = new Promise<void>((resolve) => (release = resolve))
    world.answer('token', async (_request, honest) => (arrived(), await goOn, honest()), { times: 1 })
    const late = slow.api.get('/slow')
    await isThere
    await quick.api.get('/quick')
    release()
    await expect(late).resolves.toMatchObject({ status: 200 })
    expect(world.requests('token').map(({ status }) => status)).toEqual([400, 200])
    expect(storage.holds(world.liveAccessToken())).toBe(true)
    await slow.api.get('')
    world.expireTokens()
    await slow.api.get('')
    expect(world.user.visits).toHaveLength(1)
  })
})

describe('a renewal whose answer is lost', () => {
  /** The server does it, and the connection breaks. */
  const lost: Answering = async (_request, honest): Promise<'reset'> => {
    await honest()
    return 'reset'
  }

  it('is sent again with the same refresh token, which a grace period allows [refresh.lost-response] [TK-37]', async () => {
    await start({ rotation: false })
    const { api } = await session()
    world.expireTokens()
    world.answer('token', lost, { times: 1 })
    await api.get('')
    expect(world.steps()).toEqual(['token 0', 'token 200', 'api 200'])
    expect(new Set(refreshTokensSent()).size).toBe(1)
  })

  it('and is then called reuse is over: one prompt, whoever waits [refresh.lost-response] [TK-37]', async () => {
    await start()
    const { api } = await session()
    world.expireTokens()
    world.answer('token', lost, { times: 1 })
    await Promise.all(Array.from({ length: 10 }, (_, n) => api.get(`/${n}`)))
    expect(refreshTokensSent()).toHaveLength(2)
    expect(world.user.visits).toHaveLength(2)
  })

  it('for all tries is tried again on demand, with the same refresh token [refresh.lost-response]', async () => {
    await start({ rotation: false })
    const { api } = await session()
    world.expireTokens()
    world.answer('token', lost, { times: 3 })
    expect(await rejectionOf(api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    world.clock.advance(3 * second)
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(new Set(refreshTokensSent()).size).toBe(1)
    expect(refreshTokensSent()).toHaveLength(4)
  })
})

describe('getAccessToken()', () => {
  beforeEach(() => start())

  it('gives the token at hand without a request [lifetime.get-token]', async () => {
    const { provider } = await session()
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(world.steps()).toEqual([])
  })

  it('signs in where there is none, and renews what has expired [lifetime.get-token]', async () => {
    const { provider } = process()
    await provider.getAccessToken()
    world.expireTokens()
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(mainSteps(world)).toEqual(['authorize 302', 'token 200', 'token 200'])
  })

  it('renews what would not live long enough, and only that [lifetime.get-token]', async () => {
    const { provider } = await session()
    world.clock.advance(1800 * second)
    const first = world.liveAccessToken()
    expect(await provider.getAccessToken({ minValidity: 1800 * second })).toBe(first)
    const longer = await provider.getAccessToken({ minValidity: 1801 * second })
    expect(longer).not.toBe(first)
    expect(longer).toBe(world.liveAccessToken())
    expect(world.count('token')).toBe(1)
  })

  it('gives what the server has when no token lives that long [lifetime.get-token]', async () => {
    const { provider } = await session()
    expect(await provider.getAccessToken({ minValidity: 10 * hour })).toBe(world.liveAccessToken())
    expect(world.count('token')).toBe(1)
  })

  it('does not hand out a shorter one when the renewal fails, and keeps it in use for others [lifetime.get-token] [refresh.unexpired-survives]', async () => {
    const { api, provider } = await session()
    world.answer('token', { status: 503 })
    world.clock.advance(1800 * second)
    expect(await rejectionOf(provider.getAccessToken({ minValidity: 1801 * second }))).toMatchObject({
      code: 'OAUTH_TEMPORARY',
    })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it('does not make do with what somebody waits for who needs it for less long [lifetime.get-token]', async () => {
    const { provider } = await session()
    world.clock.advance(hour - 100 * second)
    const failing = world.answer('token', { status: 503 })
    const both = [provider.getAccessToken(), rejectionOf(provider.getAccessToken({ minValidity: 200 * second }))]
    const [short, long] = await Promise.all(both)
    expect(short).toBe(world.liveAccessToken())
    expect(long).toMatchObject({ code: 'OAUTH_TEMPORARY' })
    failing()
  })

  it('follows the same rules for a machine [lifetime.get-token]', async () => {
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    const { provider } = world.connect({ grant: clientCredentials(), clientInformation })
    const first = await provider.getAccessToken()
    expect(await provider.getAccessToken()).toBe(first)
    world.expireTokens()
    expect(await provider.getAccessToken()).not.toBe(first)
    expect(world.count('token')).toBe(2)
  })

  it('stops waiting at once when its signal aborts [lifetime.get-token] [concurrency.waiter-aborts]', async () => {
    const { provider } = await session()
    world.expireTokens()
    const gate = world.hold('token')
    const controller = new AbortController()
    const waiting = provider.getAccessToken({ signal: controller.signal })
    await gate.arrived
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await expect(provider.getAccessToken({ signal: controller.signal })).rejects.toThrow('enough')
    gate.release()
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    expect(world.count('token')).toBe(1)
  })
})

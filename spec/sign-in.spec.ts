import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { isListening } from './node/loopback-client'
import { failureOf } from './support/failure-of'
import { ObservedStorage } from './support/observed-storage'
import { rejectionOf } from './support/session'
import { queryOf, startWorld, withMembers, type World, type WorldOptions } from './support/world'

let world: World

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
}

afterEach(() => world.stop())

function next<T>(subscribe: (listener: (value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve) => void subscribe(resolve))
}

describe('the authorization URL', () => {
  beforeEach(() => start())

  const required = ['response_type', 'client_id', 'redirect_uri', 'state', 'code_challenge', 'code_challenge_method']

  it('has each parameter once, and a scope only if one was selected [authz-url.params]', async () => {
    await world.connect().api.get('')
    await world.connect({ scope: 'read write' }).api.get('')
    const [without, withScope] = world.user.visits.map(({ searchParams }) => searchParams)
    expect([...(without?.keys() ?? [])].sort()).toEqual([...required, 'resource'].sort())
    expect([...(withScope?.keys() ?? [])].sort()).toEqual([...required, 'resource', 'scope'].sort())
    expect(Object.fromEntries(withScope ?? [])).toMatchObject({
      response_type: 'code',
      redirect_uri: world.redirectUri,
      code_challenge_method: 'S256',
      scope: 'read write',
    })
    const [{ json } = {}] = world.requests('register')
    expect(json).not.toHaveProperty('scope')
  })

  it('keeps the query of the endpoint, and replaces what is ours [authz-url.keeps-query] [AS-17]', async () => {
    const planted =
      'client_id=e&redirect_uri=https%3A%2F%2Fe.example&state=e&code_challenge=e&response_type=token&scope=admin&request_uri=e'
    const authorization_endpoint = `${world.issuer}/authorize?tenant=a%20b&${planted}&x`
    world.answer('as-metadata', withMembers({ authorization_endpoint }))
    await world.connect().api.get('')
    const [url] = world.user.visits
    expect(url?.href).toMatch(/\?tenant=a%20b&x&/)
    expect(url?.href.split('?')).toHaveLength(2)
    const own = [...required, 'resource']
    expect([...(url?.searchParams.keys() ?? [])].sort()).toEqual([...own, 'tenant', 'x'].sort())
    expect(own.map((name) => url?.searchParams.get(name))).not.toContain('e')
  })

  it('has the parameters of the user [authz-url.extra-params]', async () => {
    await world.connect({ authorizeParams: { audience: 'urn:api', login_hint: 'a&b=c' } }).api.get('')
    const query = world.user.visits[0]?.searchParams
    expect([query?.getAll('audience'), query?.getAll('login_hint')]).toEqual([['urn:api'], ['a&b=c']])
  })

  it.each([...required, 'scope', 'resource', 'request_uri', 'request', 'dpop_jkt'])(
    'does not take the protocol parameter %s from the user [authz-url.extra-params]',
    (name) => {
      expect(() => world.connect({ authorizeParams: { [name]: 'mine' } })).toThrow(TypeError)
    },
  )

  it.each([
    [{}, ['consent']],
    [{ prompt: 'login' }, ['login']],
  ])('with offline_access and %j says prompt=%j [authz-url.prompt-consent]', async (authorizeParams, prompt) => {
    world.answer('as-metadata', withMembers({ scopes_supported: ['read', 'offline_access'] }))
    await world.connect({ scope: 'read', authorizeParams }).api.get('')
    const query = world.user.visits[0]?.searchParams
    expect([query?.get('scope'), query?.getAll('prompt')]).toEqual(['read offline_access', prompt])
  })

  it('says no prompt without offline_access [authz-url.prompt-consent]', async () => {
    await world.connect({ scope: 'read' }).api.get('')
    expect(world.user.visits[0]?.searchParams.has('prompt')).toBe(false)
  })

  it.each<[string, (registered: string) => Partial<OAuthOptions>, string]>([
    ['the configured one', (uri) => ({ clientMetadata: { redirect_uris: [`${uri}/2`, uri] } }), '/2'],
    ['the first registered one', (uri) => ({ clientMetadata: {}, clientInformation: known([uri, `${uri}/2`]) }), ''],
    [
      'the configured one of those registered',
      (uri) => ({ clientMetadata: { redirect_uris: [`${uri}/2`] }, clientInformation: known([uri, `${uri}/2`]) }),
      '/2',
    ],
  ])('names as redirect URI %s [authz-url.redirect-choice]', async (_name, options, suffix) => {
    await world.connect(options(world.redirectUri)).api.get('')
    const expected = world.redirectUri + suffix
    expect(world.user.visits[0]?.searchParams.getAll('redirect_uri')).toEqual([expected])
    expect(world.requests('token')[0]?.form?.getAll('redirect_uri')).toEqual([expected])
  })

  it('is not opened with a redirect URI that is not registered [authz-url.redirect-choice]', async () => {
    const clientInformation = known(['https://app.example/callback'])
    const error = await failureOf(world.connect({ clientInformation }).api.get(''))
    expect(error).toMatchObject({ name: 'OAuthAuthorizationError', endpoint: world.redirectUri })
    expect([world.user.visits.length, world.count('token')]).toEqual([0, 0])
  })

  function known(redirect_uris: readonly string[]): OAuthOptions['clientInformation'] & object {
    return world.addClient({ redirect_uris })
  }

  it.each([
    'http://app.example/callback',
    'http://localhost.example/callback',
    'http://127.0.0.2/callback',
    'https://app.example/callback#fragment',
    'https://user:secret@app.example/callback',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///tmp/callback',
    '/callback',
    '',
  ])('cannot have the redirect URI %j [authz-url.redirect-shape]', (uri) => {
    expect(() => world.connect({ clientMetadata: { redirect_uris: [uri] } })).toThrow(TypeError)
    const clientInformation = { client_id: 'c', redirect_uris: [uri] }
    expect(() => world.connect({ clientMetadata: {}, clientInformation })).toThrow(TypeError)
  })

  it.each(['https://app.example/cb', 'http://localhost:1/cb', 'http://[::1]:1/cb', 'com.example.app:/cb'])(
    'can have the redirect URI %s [authz-url.redirect-shape]',
    (uri) => {
      expect(() => world.connect({ clientMetadata: { redirect_uris: [uri] } })).not.toThrow()
    },
  )

  it.each([
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'file:///etc/passwd',
    'vscode://extension/run',
    'http://as.example.com/authorize',
    'https://user:secret@as.example.com/authorize',
    'https://as.example.com/authorize\n--option',
    'https://as.example.com/a b',
    '-oProxyCommand=calc',
    '/authorize',
    'https://as.example.com/authorize#fragment',
  ])('is not handed to anybody when the endpoint is %j [authz-url.safe-to-open]', async (authorization_endpoint) => {
    for (const endpoint of ['as-metadata', 'openid'] as const) {
      world.answer(endpoint, withMembers({ authorization_endpoint }))
    }
    const opened: string[] = []
    const { redirectHandler, callbackHandler } = {
      ...world.user,
      redirectHandler: (url: string) => void opened.push(url),
    }
    const error = await failureOf(world.connect({ redirectHandler, callbackHandler }).api.get(''))
    expect(error.name).toBe('OAuthDiscoveryError')
    expect([opened, world.count('register')]).toEqual([[], 0])
    const twoPhase = await failureOf(world.connect({ interactive: false }).provider.startAuthorization())
    expect(twoPhase.name).toBe('OAuthDiscoveryError')
  })

  it('is handed over in its serialised form, in which nothing can be a shell word of its own [authz-url.safe-to-open]', async () => {
    const authorization_endpoint = `${world.issuer}/authorize?a=$(calc)&b="x"&c=<d>`
    world.answer('as-metadata', withMembers({ authorization_endpoint }))
    const { url } = await world.connect({ interactive: false }).provider.startAuthorization()
    expect(url).toBe(new URL(url).href)
    expect(url).not.toMatch(/["<>\s]/)
  })
})

describe('signing in with two handlers', () => {
  beforeEach(() => start())

  type Callback = Awaited<ReturnType<NonNullable<OAuthOptions['callbackHandler']>>>

  it.each<[string, (url: URL) => Callback]>([
    ['the URL as text', (url) => url.href],
    ['the URL', (url) => url],
    ['the query as text', (url) => url.search],
    ['the parameters', (url) => url.searchParams],
    ['the members', ({ searchParams: q }) => ({ code: q.get('code') ?? '', state: q.get('state'), iss: q.get('iss') })],
  ])('takes %s from the callback handler [flow.two-handlers]', async (_name, shape) => {
    const { redirectHandler } = world.user
    const callbackHandler: OAuthOptions['callbackHandler'] = async (o) =>
      shape(new URL(await world.user.callbackHandler(o)))
    const { api } = world.connect({ redirectHandler, callbackHandler })
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect([world.user.visits.length, world.count('token')]).toEqual([1, 1])
  })

  it('waits for an asynchronous redirect handler, and tells the callback handler the state [flow.two-handlers]', async () => {
    const told: string[] = []
    const redirectHandler = async (url: string): Promise<void> => {
      await world.user.visit(url)
      told.push('redirect')
    }
    const callbackHandler: OAuthOptions['callbackHandler'] = (o) => {
      told.push(o.state)
      return world.user.callbackHandler(o)
    }
    await world.connect({ redirectHandler, callbackHandler }).api.get('')
    expect(told).toEqual(['redirect', world.user.visits[0]?.searchParams.get('state')])
  })

  it.each<[string, Callback]>([
    ['no state', { code: 'stolen' }],
    ['a state of null', { code: 'stolen', state: null }],
    ['another state', 'http://127.0.0.1/callback?code=stolen&state=other'],
    ['nothing', ''],
  ])(
    'refuses a callback with %s, and the genuine one can still finish the sign-in [state.verified] [txn.survives-bad-callback]',
    async (_name, callback) => {
      const { provider } = world.connect({
        redirectHandler: world.user.redirectHandler,
        callbackHandler: () => Promise.resolve(callback),
      })
      await expect(provider.authorize()).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
      expect(world.count('token')).toBe(0)
      const url = world.user.visits[0]?.href ?? ''
      await provider.finishAuthorization(await world.user.visit(url))
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    },
  )

  it('opens one browser and makes one registration for 50 requests at once [flow.single-prompt] [RG-16]', async () => {
    const { api, provider } = world.connect()
    const gate = world.user.hold()
    const requests = Array.from({ length: 50 }, () => api.get(''))
    await gate.arrived
    requests.push(api.get(''))
    const token = provider.getAccessToken()
    gate.release()
    for (const { status } of await Promise.all(requests)) expect(status).toBe(200)
    expect(await token).toBe(world.liveAccessToken())
    expect([world.user.visits.length, world.count('register'), world.count('token')]).toEqual([1, 1, 1])
  })

  it('tells all who wait of one refusal, after one browser [flow.single-prompt] [callback.error-surfaced]', async () => {
    world.user.deny()
    const { api } = world.connect()
    const gate = world.user.hold()
    const requests = Array.from({ length: 10 }, () => failureOf(api.get('')))
    await gate.arrived
    gate.release()
    for (const { code } of await Promise.all(requests)) expect(code).toBe('OAUTH_AUTHORIZATION_DENIED')
    expect([world.user.visits.length, world.count('token')]).toEqual([1, 0])
  })

  it('takes a pasted callback while it waits, and a malformed one ends nothing [receiver.paste-back] [flow.two-phase]', async () => {
    world.user.leave()
    const { provider } = world.connect()
    const signingIn = provider.authorize()
    const gate = world.hold('authorize')
    await gate.arrived
    gate.release()
    for (const text of ['', 'nonsense', 'http://127.0.0.1:8765/callback?code=x&state=y&state=z']) {
      await expect(provider.finishAuthorization(text)).rejects.toMatchObject({ name: 'OAuthAuthorizationError' })
    }
    world.user.approve()
    await provider.finishAuthorization(await world.user.visit(world.user.visits[0]?.href ?? ''))
    await signingIn
    expect(world.count('token')).toBe(1)
  })
})

describe('the end of a wait', () => {
  beforeEach(() => start())

  it.each([
    [{}, 300_000],
    [{ timeout: 45_000 }, 45_000],
  ])('with %j comes after %d ms, whatever the network deadlines are [flow.human-deadline]', async (options, ms) => {
    jest.useFakeTimers({ doNotFake: realTimers })
    try {
      world.user.leave()
      const storage = new ObservedStorage()
      const { api } = world.connect({ ...options, storage, requestTimeout: 10_000 })
      const outcome = failureOf(api.get(''))
      let settled = false
      void outcome.then(() => (settled = true))
      await opened()
      jest.advanceTimersByTime(ms - 1)
      await turn()
      expect(settled).toBe(false)
      jest.advanceTimersByTime(1)
      const error = await outcome
      expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_CALLBACK_TIMEOUT' })
      expect([storage.records('transaction'), jest.getTimerCount()]).toEqual([[], 0])
      expect([world.count('token'), world.user.visits.length]).toEqual([0, 1])
    } finally {
      jest.useRealTimers()
    }
  })

  it('by a signal is at once and with its reason, and a callback that comes late is refused [flow.abort] [AB-05]', async () => {
    const gate = world.user.hold()
    const storage = new ObservedStorage()
    const { provider } = world.connect({ storage })
    const ending = new AbortController()
    const reason = new Error('closed by the user')
    const signingIn = rejectionOf(provider.authorize({ signal: ending.signal }))
    const url = await gate.arrived
    ending.abort(reason)
    expect(await signingIn).toBe(reason)
    gate.release()
    await expect(provider.finishAuthorization(await world.user.visit(url.href))).rejects.toMatchObject({
      code: 'OAUTH_STATE_MISMATCH',
    })
    expect(storage.records('transaction')).toEqual([])
    expect(world.count('token')).toBe(0)
    await provider.authorize()
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
  })

  it('of one caller leaves the sign-in to the others [flow.abort] [flow.single-prompt]', async () => {
    const gate = world.user.hold()
    const { api } = world.connect()
    const ending = new AbortController()
    const aborted = rejectionOf(api.get('', { signal: ending.signal }))
    const other = api.get('')
    await gate.arrived
    ending.abort()
    expect(await aborted).toMatchObject({ code: 'ERR_CANCELED' })
    gate.release()
    expect((await other).status).toBe(200)
    expect(world.user.visits).toHaveLength(1)
  })

  it('by a callback handler that throws is at once, with its cause and without a lock left behind [flow.abort]', async () => {
    const storage = new ObservedStorage()
    const cause = Object.assign(new TypeError('window closed, code=secret-code'), { code: 'WINDOW_CLOSED' })
    let broken = true
    const callbackHandler: OAuthOptions['callbackHandler'] = (o) =>
      broken ? Promise.reject(cause) : world.user.callbackHandler(o)
    const { redirectHandler } = world.user
    const { api } = world.connect({ storage, redirectHandler, callbackHandler })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({
      name: 'OAuthAuthorizationError',
      code: 'OAUTH_ABORTED',
      cause: { name: 'TypeError', code: 'WINDOW_CLOSED' },
    })
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain('secret-code')
    expect([storage.records('transaction'), world.count('token')]).toEqual([[], 0])
    broken = false
    expect((await api.get('')).status).toBe(200)
  })

  it('by a callback handler that throws an error of this library is with that error [flow.abort]', async () => {
    const own = await failureOf(world.connect({ interactive: false }).api.get(''))
    const { redirectHandler } = world.user
    const { api } = world.connect({ redirectHandler, callbackHandler: () => Promise.reject(own) })
    expect(await failureOf(api.get(''))).toMatchObject({ code: own.code, message: own.message })
  })

  it.each<[string, OAuthOptions['redirectHandler'] & object]>([
    [
      'throws',
      () => {
        throw new Error('no browser here')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no browser here'))],
  ])('does not come with a launcher that %s [flow.abort] [CB-30]', async (_name, broken) => {
    const redirectHandler = (url: string): void | Promise<void> => {
      world.user.redirectHandler(url)
      return broken(url)
    }
    const { callbackHandler } = world.user
    expect((await world.connect({ redirectHandler, callbackHandler }).api.get('')).status).toBe(200)
  })
})

/** What fake timers leave alone, so that real requests go on. */
const realTimers: FakeTimersConfig['doNotFake'] & object = [
  ...(['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask'] as const),
  ...(['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const),
]

/** Resolves when the person has opened the page. */
async function opened(): Promise<void> {
  const gate = world.hold('authorize')
  await gate.arrived
  gate.release()
  await turn()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('where nobody can be asked', () => {
  beforeEach(() => start())

  it('a request rejects at once with the URL and state of one started sign-in [flow.non-interactive] [CB-31]', async () => {
    const { api, provider } = world.connect({ interactive: false })
    const errors = await Promise.all([failureOf(api.get('')), failureOf(api.get('')), failureOf(provider.authorize())])
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_AUTHORIZATION_REQUIRED' })
    }
    const [error] = errors
    expect(new Set(errors.map(({ state }) => state)).size).toBe(1)
    expect(new URL(error?.authorizationUrl ?? '').searchParams.get('state')).toBe(error?.state)
    expect([world.user.visits.length, world.count('authorize'), world.count('register')]).toEqual([0, 0, 1])
    await provider.finishAuthorization(await world.user.visit(error?.authorizationUrl ?? ''))
    expect((await api.get('')).status).toBe(200)
  })

  it('the end of a session is another code, with a URL that works [flow.non-interactive] [CB-31]', async () => {
    const storage = new ObservedStorage()
    await world.connect({ storage }).api.get('')
    world.expireTokens()
    world.endSession()
    const { api, provider } = world.connect({ storage, interactive: false })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_REAUTH_REQUIRED' })
    await provider.finishAuthorization(await world.user.visit(error.authorizationUrl ?? ''))
    expect((await api.get('')).status).toBe(200)
    expect(world.count('register')).toBe(1)
  })

  it('the URL is not that of a sign-in that another process has finished since [flow.non-interactive] [state.single-use]', async () => {
    const o = { storage: new ObservedStorage(), interactive: false }
    const { api, provider } = world.connect(o)
    const first = await failureOf(api.get(''))
    await world.connect(o).provider.finishAuthorization(await world.user.visit(first.authorizationUrl ?? ''))
    expect((await api.get('')).status).toBe(200)
    world.revokeAccessTokens()
    world.endSession()
    const second = await failureOf(api.get(''))
    expect(second.code).toBe('OAUTH_REAUTH_REQUIRED')
    await provider.finishAuthorization(await world.user.visit(second.authorizationUrl ?? ''))
    expect((await api.get('')).status).toBe(200)
  })

  it('an offer that has expired is followed by a new one [flow.non-interactive]', async () => {
    const { api } = world.connect({ interactive: false })
    const first = await failureOf(api.get(''))
    world.clock.advance(600_000)
    const second = await failureOf(api.get(''))
    expect(second.state).not.toBe(first.state)
  })

  it('a background renewal opens no browser, whatever it meets [flow.non-interactive]', async () => {
    const { api, provider } = world.connect()
    await api.get('')
    world.endSession()
    world.clock.advance(3_500_000)
    const ended = next((listener) => provider.on('sessionEnded', listener))
    expect((await api.get('')).status).toBe(200)
    await ended
    expect((await api.get('')).status).toBe(200)
    expect(world.user.visits).toHaveLength(1)
  })

  it('signing in needs a redirect URI or a receiver, which is said at construction [registration.config-checked]', () => {
    const serverUrl = 'https://api.example.com/mcp'
    expect(() => new OAuthClientProvider({ serverUrl })).toThrow(/redirect_uris.*receiver/)
    expect(() => new OAuthClientProvider({ serverUrl, clientMetadata: { redirect_uris: [] } })).toThrow(TypeError)
  })

  it.each<[string, Partial<OAuthOptions>]>([
    ['client id', { clientInformation: { client_id: '' } }],
    ['client secret', { clientInformation: { client_id: 'c', client_secret: '' } }],
    ['issuer of the client', { clientInformation: { client_id: 'c', issuer: '' } }],
    ['issuer', { issuer: '' }],
  ])('an empty %s is a TypeError at construction [registration.config-checked]', (_name, options) => {
    expect(() => world.connect(options)).toThrow(TypeError)
  })
})

describe('a program with loopbackReceiver()', () => {
  beforeEach(() => start({ clock: false }))

  async function run(browser: string): Promise<{ outcome: Record<string, string>; code: unknown }> {
    const program = join(__dirname, 'support', 'sign-in-program.cjs')
    const child = spawn(process.execPath, [program, world.serverUrl, browser], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    return { outcome: JSON.parse(output) as Record<string, string>, code }
  }

  it('signs in through the browser, exits by itself and leaves the port free [receiver.closes] [receiver.bound-uri] [dcr.application-type]', async () => {
    const { outcome, code } = await run('follow')
    expect([code, outcome.status, outcome.clientId]).toEqual([0, 200, 'string'])
    expect(outcome.page).not.toMatch(/code-|state/)
    const redirectUri = queryOf(world.requests('authorize')[0] ?? { url: '' }).get('redirect_uri') ?? ''
    expect(redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    expect(await isListening(redirectUri)).toBe(false)
    expect(world.requests('register')[0]?.json).toMatchObject({
      application_type: 'native',
      redirect_uris: [redirectUri],
    })
    expect(world.steps().slice(-3)).toEqual(['authorize 302', 'token 200', 'api 200'])
  })

  it('exits by itself when nobody comes back in time [CB-26] [flow.human-deadline] [receiver.closes]', async () => {
    const { outcome, code } = await run('nothing')
    expect([code, outcome.code]).toEqual([0, 'OAUTH_CALLBACK_TIMEOUT'])
    const { redirect_uris: [redirectUri = ''] = [] } = world.requests('register')[0]?.json as {
      redirect_uris: string[]
    }
    expect(await isListening(redirectUri)).toBe(false)
    expect(world.count('token')).toBe(0)
  })
})

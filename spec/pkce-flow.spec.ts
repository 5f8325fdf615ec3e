import { createHash } from 'node:crypto'
import type { OAuthClientProvider } from 'axios-oauth2'
import { failureOf } from './support/failure-of'
import { ObservedStorage } from './support/observed-storage'
import { queryOf, startWorld, withMembers, type World, type WorldOptions } from './support/world'

const lifetime = 600_000

let world: World
let storage: ObservedStorage

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  storage = new ObservedStorage()
}

beforeEach(() => start())
afterEach(() => world.stop())

/** A provider that is a process of its own over the storage, without a person. */
function process(o: Parameters<World['connect']>[0] = {}): OAuthClientProvider {
  return world.connect({ interactive: false, storage, ...o }).provider
}

/** Begins a sign-in, lets the person go through it, and gives the callback URL. */
async function callbackOf(provider: OAuthClientProvider): Promise<string> {
  return world.user.visit((await provider.startAuthorization()).url)
}

function changed(callback: string, change: (query: URLSearchParams) => void): string {
  const url = new URL(callback)
  change(url.searchParams)
  return url.href
}

function s256(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

describe('PKCE', () => {
  it('sends the S256 challenge of a verifier of its own with every sign-in [pkce.s256-always] [pkce.verifier-shape]', async () => {
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: ['plain', 'S256'] }))
    const { provider } = world.connect()
    await provider.authorize()
    await provider.authorize()
    const challenges = world.requests('authorize').map((entry) => queryOf(entry).getAll('code_challenge'))
    const verifiers = world.requests('token').map(({ form }) => form?.get('code_verifier') ?? '')
    expect(challenges).toEqual(verifiers.map((verifier) => [s256(verifier)]))
    for (const verifier of verifiers) expect(verifier).toMatch(/^[A-Za-z0-9\-._~]{128}$/)
    expect(new Set(verifiers).size).toBe(2)
    for (const entry of world.requests('authorize')) {
      expect(queryOf(entry).getAll('code_challenge_method')).toEqual(['S256'])
    }
  })

  it('refuses metadata that says nothing of PKCE, before registration and browser [pkce.support-required] [pkce.assume-list]', async () => {
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }))
    const { api } = world.connect({ assumePkceSupport: [`${world.issuer}/other`] })
    const error = await failureOf(api.get(''))
    expect(error).toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED', retryable: false })
    expect(error.hint).toContain('assumePkceSupport')
    expect([world.count('register'), world.user.visits.length, world.count('token')]).toEqual([0, 0, 0])
  })

  it('believes a listed issuer that says nothing, and sends S256 [pkce.assume-list]', async () => {
    world.answer('as-metadata', withMembers({ code_challenge_methods_supported: undefined }))
    await world.connect({ assumePkceSupport: [world.issuer] }).api.get('')
    expect(world.user.visits[0]?.searchParams.get('code_challenge_method')).toBe('S256')
  })

  it.each([[['plain']], [[]]])(
    'refuses the list %j in any case [pkce.support-required]',
    async (code_challenge_methods_supported) => {
      world.answer('as-metadata', withMembers({ code_challenge_methods_supported }))
      const { api } = world.connect({ assumePkceSupport: [world.issuer] })
      await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED' })
      expect([world.count('register'), world.user.visits.length]).toEqual([0, 0])
    },
  )
})

describe('the state', () => {
  it('is fresh, of 128 random bits or more, and the one that startAuthorization() gives [state.generated]', async () => {
    const provider = process()
    const started = [await provider.startAuthorization(), await provider.startAuthorization()]
    for (const { url, state } of started) {
      expect(new URL(url).searchParams.getAll('state')).toEqual([state])
      expect(Buffer.from(state, 'base64url').length).toBeGreaterThanOrEqual(16)
    }
    expect(started[0]?.state).not.toBe(started[1]?.state)
  })

  const wrongStates: readonly (readonly [string, (query: URLSearchParams) => void])[] = [
    ['no state', (query) => query.delete('state')],
    ['an empty state', (query) => query.set('state', '')],
    ['another state', (query) => query.set('state', 'attacker-state-attacker-state')],
    ['a prefix of the state', (query) => query.set('state', query.get('state')?.slice(0, -1) ?? '')],
    ['more than the state', (query) => query.set('state', `${query.get('state')}A`)],
  ]

  it.each(wrongStates)(
    'refuses a callback with %s, shows none of it, and still takes the genuine one [state.verified] [state.not-in-error] [txn.survives-bad-callback] [CB-01] [CB-02] [CB-03]',
    async (_name, change) => {
      const provider = process()
      const callback = await callbackOf(provider)
      const error = await failureOf(provider.finishAuthorization(changed(callback, change)))
      expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_STATE_MISMATCH' })
      expect(world.count('token')).toBe(0)
      expect(world.leaksIn(error)).toEqual([])
      expect(`${error.stack} ${error.hint}`).not.toContain('attacker-state')
      await provider.finishAuthorization(callback)
      expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
    },
  )

  it('is refused as unknown, expired or used, and the hint says which [state.three-reasons]', async () => {
    const provider = process()
    const finished = await callbackOf(provider)
    await provider.finishAuthorization(finished)
    const late = await callbackOf(provider)
    world.clock.advance(lifetime)
    const hints = new Set<string | undefined>()
    for (const callback of [finished, late, changed(late, (query) => query.set('state', 'unheard-of'))]) {
      const error = await failureOf(provider.finishAuthorization(callback))
      expect(error.code).toBe('OAUTH_STATE_MISMATCH')
      hints.add(error.hint)
    }
    expect([...hints]).toEqual([
      expect.stringContaining('already'),
      expect.stringContaining('too late'),
      expect.stringContaining('unknown'),
    ])
  })

  it('is accepted once, and a reload of the callback disturbs nothing [state.single-use] [state.three-reasons] [CB-18]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    await provider.finishAuthorization(callback)
    const token = await provider.getAccessToken()
    await expect(provider.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    expect(world.count('token')).toBe(1)
    expect(await provider.getAccessToken()).toBe(token)
    expect(world.liveAccessToken()).toBe(token)
  })

  it('redeems its code once when two callbacks come together [state.single-use] [CB-19]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    const both = await Promise.allSettled([callback, callback].map((one) => provider.finishAuthorization(one)))
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(world.count('token')).toBe(1)
  })

  it('is gone from the storage before the code is presented [state.single-use] [CB-18]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    const gate = world.hold('token')
    const finishing = provider.finishAuthorization(callback)
    await gate.arrived
    expect(storage.records('transaction')).toEqual([])
    await expect(process().finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    gate.release()
    await finishing
    expect(world.count('token')).toBe(1)
  })

  it.each([
    [lifetime - 1, 'fulfilled', 1],
    [lifetime, 'rejected', 0],
  ])('after %d ms is %s [state.single-use]', async (ms, outcome, requests) => {
    const provider = process()
    const callback = await callbackOf(provider)
    world.clock.advance(ms)
    const [settled] = await Promise.allSettled([provider.finishAuthorization(callback)])
    expect([settled?.status, world.count('token')]).toEqual([outcome, requests])
  })
})

describe('a transaction', () => {
  it('is stored before the browser is opened [txn.record]', async () => {
    const gate = storage.hold('transaction')
    const signingIn = world.connect({ storage }).provider.authorize()
    const record = await gate.arrived
    expect([world.user.visits.length, world.count('register')]).toEqual([0, 1])
    expect(record).toMatchObject({
      server: { issuer: world.issuer, resource: world.serverUrl },
      redirectUri: world.redirectUri,
      createdAt: world.clock.now(),
    })
    gate.release()
    await signingIn
  })

  it('is finished by another process over the same storage, and the first one goes on with its tokens [txn.record] [flow.two-phase]', async () => {
    const first = world.connect({ interactive: false, storage })
    const callback = await callbackOf(first.provider)
    world.forget()
    await process().finishAuthorization(callback)
    await first.api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 401', 'api 200'])
    expect(world.requests('token')[0]?.form?.get('grant_type')).toBe('authorization_code')
  })

  it('is refused by a process that does not share the storage [CB-33] [txn.fail-closed]', async () => {
    const callback = await callbackOf(process())
    const stranger = process({ storage: new ObservedStorage() })
    await expect(stranger.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    expect(world.count('token')).toBe(0)
  })

  it('is one of many that finish in any order, each with its own verifier [txn.per-state]', async () => {
    const provider = process()
    const callbacks: string[] = []
    for (let count = 0; count < 30; count += 1) callbacks.push(await callbackOf(provider))
    for (const callback of [...callbacks].reverse()) await provider.finishAuthorization(callback)
    const verifiers = world.requests('token').map(({ form, status }) => `${status} ${form?.get('code_verifier')}`)
    expect(new Set(verifiers).size).toBe(callbacks.length)
    expect(verifiers.every((verifier) => verifier.startsWith('200 '))).toBe(true)
    expect(storage.records('transaction')).toEqual([])
  })

  it('of one authorization server does not take the answer of another [CB-32] [txn.per-state]', async () => {
    const other = await startWorld()
    try {
      const o = { interactive: false, storage }
      const here = world.connect(o).provider
      const there = other.connect(o).provider
      const [callback, foreign] = [await callbackOf(here), await callbackOf(there)]
      await expect(here.finishAuthorization(foreign)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
      await expect(there.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
      expect([world.count('token'), other.count('token')]).toEqual([0, 0])
      await here.finishAuthorization(callback)
      await there.finishAuthorization(foreign)
    } finally {
      await other.stop()
    }
  })

  it('that is lost cannot be finished, and nothing is stored [txn.fail-closed]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    for (const [key, value] of storage.entries) if (value.includes('codeVerifier')) storage.entries.delete(key)
    await expect(provider.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_STATE_MISMATCH' })
    expect(world.count('token')).toBe(0)
    expect(storage.records('tokens')).toEqual([])
  })

  it('is not finished when the resource has named another issuer since [txn.fail-closed]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    world.clock.advance(1)
    world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
    await provider.startAuthorization()
    await expect(provider.finishAuthorization(callback)).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(world.count('token')).toBe(0)
    expect(storage.records('tokens')).toEqual([])
  })

  it('at a new issuer is finished by a process that only knows the former one from its session [txn.record] [binding.independent]', async () => {
    const first = process()
    await first.finishAuthorization(await callbackOf(first))
    world.clock.advance(1)
    const successor = await startWorld()
    try {
      world.answer('prm', withMembers({ authorization_servers: [successor.issuer] }))
      const callback = await callbackOf(first)
      await process().finishAuthorization(callback)
      expect(await process().getAccessToken()).toBe(successor.liveAccessToken())
      expect(world.count('token')).toBe(1)
    } finally {
      await successor.stop()
    }
  })

  it('sends its code where it began, although the metadata was read again since [mixup.token-endpoint-pinned] [txn.record]', async () => {
    const provider = process()
    const callback = await callbackOf(provider)
    world.clock.advance(1)
    world.answer('as-metadata', withMembers({ token_endpoint: `${world.issuer}/moved/token` }))
    await provider.startAuthorization()
    await provider.finishAuthorization(callback)
    expect(world.order().filter((step) => step.includes('token'))).toEqual(['as POST /token'])
  })

  const ends: readonly (readonly [string, () => void, (callback: string) => string])[] = [
    ['success', () => undefined, (callback) => callback],
    ['a refusal of the person', () => world.user.deny(), (callback) => callback],
    [
      'a foreign issuer',
      () => undefined,
      (callback) => changed(callback, (query) => query.set('iss', 'https://e.example')),
    ],
    [
      'a refusal of the token endpoint',
      () => void world.answer('token', { status: 400, body: { error: 'invalid_grant' } }),
      (callback) => callback,
    ],
  ]

  it.each(ends)('leaves no verifier in the storage after %s [txn.cleaned]', async (_name, arrange, change) => {
    arrange()
    const provider = process()
    const callback = await callbackOf(provider)
    const { codeVerifier } = storage.records('transaction')[0] as { codeVerifier: string }
    await Promise.allSettled([provider.finishAuthorization(change(callback))])
    expect(storage.holds(codeVerifier)).toBe(false)
    expect(storage.records('transaction')).toEqual([])
  })

  it('that has expired is removed when the next one starts, also by another process [txn.cleaned]', async () => {
    for (let count = 0; count < 25; count += 1) await process().startAuthorization()
    expect(storage.records('transaction')).toHaveLength(25)
    world.clock.advance(lifetime)
    await process().startAuthorization()
    expect(storage.records('transaction')).toHaveLength(1)
  })
})

describe('a callback', () => {
  const malformed: readonly (readonly [string, (query: URLSearchParams) => void])[] = [
    ['two states', (query) => query.append('state', 'attacker')],
    ['two codes', (query) => query.append('code', 'attacker')],
    ['two issuers', (query) => query.append('iss', query.get('iss') ?? '')],
    ['two errors', (query) => ['a', 'b'].forEach((error) => query.append('error', error))],
    ['an access token', (query) => query.set('access_token', 'implicit-access-token')],
    ['an ID token', (query) => query.set('id_token', 'implicit-id-token')],
    ['a JARM response', (query) => query.set('response', 'eyJhbGciOiJub25lIn0')],
  ]

  it.each(malformed)(
    'with %s is refused, and the genuine one still succeeds [callback.malformed] [txn.survives-bad-callback] [CB-04] [CB-10] [CB-11] [CB-16] [CB-17]',
    async (_name, change) => {
      const provider = process()
      const callback = await callbackOf(provider)
      const error = await failureOf(provider.finishAuthorization(changed(callback, change)))
      expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_CALLBACK_INVALID' })
      expect(world.leaksIn(error)).toEqual([])
      expect(world.count('token')).toBe(0)
      await provider.finishAuthorization(callback)
      expect(storage.holds('implicit-')).toBe(false)
    },
  )

  it.each<[string, (query: URLSearchParams) => void]>([
    ['no code', (query) => query.delete('code')],
    ['an empty code', (query) => query.set('code', '')],
    ['code and error', (query) => query.set('error', 'access_denied')],
    ['a code of 1 MB', (query) => query.set('code', 'c'.repeat(1 << 20))],
  ])('with %s redeems nothing [callback.malformed] [CB-12] [CB-13] [CB-34]', async (_name, change) => {
    const provider = process()
    const callback = await callbackOf(provider)
    await expect(provider.finishAuthorization(changed(callback, change))).rejects.toMatchObject({
      code: 'OAUTH_CALLBACK_INVALID',
    })
    expect(world.count('token')).toBe(0)
  })

  it('has a code that cannot become a header or a second parameter [CB-34]', async () => {
    const provider = process()
    const callback = changed(await callbackOf(provider), (query) => query.set('code', 'a\r\nX: y&code_verifier=z'))
    await expect(provider.finishAuthorization(callback)).rejects.toMatchObject({ oauthError: 'invalid_grant' })
    const [{ form, headers } = {}] = world.requests('token')
    expect(form?.getAll('code')).toEqual(['a\r\nX: y&code_verifier=z'])
    expect(form?.getAll('code_verifier')).toHaveLength(1)
    expect(headers).not.toHaveProperty('x')
  })

  it('with an error ends the sign-in with what the server said, and asks for no token [callback.error-surfaced] [CB-15]', async () => {
    world.user.deny()
    world.user.rewrite((url) =>
      changed(url, (query) => query.set('error_description', 'no \u001b[31m<script>\r\nSet-Cookie: x')),
    )
    const error = await failureOf(world.connect().api.get(''))
    expect(error).toMatchObject({
      name: 'OAuthAuthorizationError',
      code: 'OAUTH_AUTHORIZATION_DENIED',
      oauthError: 'access_denied',
      oauthErrorDescription: 'no  [31m<script> Set-Cookie: x',
    })
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(error.message).not.toMatch(/[\u0000-\u001f]|script/)
    expect(world.count('token')).toBe(0)
  })

  it.each([
    ['foreign', 'https://evil.example'],
    ['with a slash', '/'],
    ['in other case', 'upper'],
    ['empty', ''],
  ])(
    'whose issuer is %s is not redeemed, and its text is shown nowhere [iss.before-error] [CB-05] [CB-06] [CB-07] [CB-08] [CB-14]',
    async (_name, iss) => {
      const value = { '/': `${world.issuer}/`, upper: world.issuer.replace('http', 'HTTP') }[iss] ?? iss
      const provider = process()
      const callback = changed(await callbackOf(provider), (query) => {
        query.set('iss', value)
        query.delete('code')
        query.set('error', 'call_0900_phish')
        query.set('error_description', 'call 0900-PHISH')
        query.set('error_uri', 'https://phish.example')
      })
      const error = await failureOf(provider.finishAuthorization(callback))
      expect(error).toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH' })
      expect([error.oauthError, error.oauthErrorDescription]).toEqual([undefined, undefined])
      expect(`${error.stack} ${error.hint} ${JSON.stringify(error)}`).not.toMatch(/phish/i)
      expect(world.count('token')).toBe(0)
    },
  )

  it('does not choose the redirect URI of the token request [callback.redirect-uri-exact]', async () => {
    const redirectUri = 'http://127.0.0.1:8765/a%7Eb/./callback?tenant=%7e&x'
    const provider = process({ clientMetadata: { client_name: 'Spec', redirect_uris: [redirectUri] } })
    const callback = new URL(await callbackOf(provider))
    await provider.finishAuthorization(`https://proxy.example/elsewhere${callback.search}`)
    expect(world.user.visits[0]?.searchParams.getAll('redirect_uri')).toEqual([redirectUri])
    expect(world.requests('token')[0]?.form?.getAll('redirect_uri')).toEqual([redirectUri])
  })

  it.each<[string, (callback: URL) => string | URL | URLSearchParams]>([
    ['its URL as text', (url) => url.href],
    ['its URL', (url) => url],
    ['its path', (url) => url.pathname + url.search],
    ['its query', (url) => url.search],
    ['its query without question mark', (url) => url.search.slice(1)],
    ['its parameters', (url) => url.searchParams],
  ])('may be given as %s [flow.two-phase]', async (_name, shape) => {
    const provider = process()
    await provider.finishAuthorization(shape(new URL(await callbackOf(provider))))
    expect(await provider.getAccessToken()).toBe(world.liveAccessToken())
  })
})

describe('a mix-up', () => {
  it('in which a hostile server names the honest sign-in page gets neither code nor verifier [AS-20] [CB-09] [mixup.host-rule]', async () => {
    await world.stop()
    await start({ iss: false })
    const { evil } = world.origin
    const { client_id } = world.addClient({ token_endpoint_auth_method: 'none' })
    world.answer('prm', withMembers({ authorization_servers: [evil] }))
    world.answer('register', withMembers({ client_id, client_secret: undefined }))
    world.answer(
      'as-metadata',
      withMembers({
        authorization_endpoint: `${world.issuer}/authorize`,
        authorization_response_iss_parameter_supported: undefined,
      }),
    )
    const error = await failureOf(world.connect().api.get(''))
    expect(error).toMatchObject({ name: 'OAuthAuthorizationError', code: 'OAUTH_ISSUER_MISMATCH' })
    expect(world.requests('authorize').map(({ server, status }) => [server, status])).toEqual([['as', 302]])
    expect(world.count('token')).toBe(0)
    const atEvil = world.journal.filter(({ server }) => server === 'evil')
    expect(atEvil.map(({ endpoint }) => endpoint)).toEqual(['as-metadata', 'register'])
    expect(world.leaksIn(atEvil.map(({ url, headers, body }) => [url, headers, body.toString()]))).toEqual([])
  })

  it('does not come about where the hosts belong together, without iss [CB-09]', async () => {
    await world.stop()
    await start({ iss: false })
    await world.connect().api.get('')
    expect(world.steps().slice(-3)).toEqual(['authorize 302', 'token 200', 'api 200'])
  })
})

import type { AxiosError } from 'axios'
import { MemoryTokenStorage, type OAuthFlowError } from 'axios-oauth2'
import { mainSteps, rejectionOf, scopeAsked, signedIn } from './support/session'
import { startWorld, withMembers, type ConnectOptions, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld({ requireScope: 'read' })
})
afterEach(() => world.stop())

const needsWrite = '/needs?scope=write'

/** The API refuses everything in these words. */
function refuse(challenge: string | undefined): () => void {
  return world.answer('api', {
    status: 403,
    headers: challenge === undefined ? {} : { 'WWW-Authenticate': challenge },
    body: { reason: 'policy' },
  })
}

function insufficient(scope: string): string {
  return `Bearer error="insufficient_scope", scope="${scope}"`
}

describe('a 403 insufficient_scope', () => {
  it('leads to a new authorization with the union of scopes, and to one replay [step-up.condition] [step-up.union] [LP-07]', async () => {
    const { api, provider } = await signedIn(world)
    await api.get(needsWrite)
    expect(mainSteps(world)).toEqual(['api 403', 'authorize 302', 'token 200', 'api 200'])
    expect(world.requests('token')[0]?.form?.get('grant_type')).toBe('authorization_code')
    expect(scopeAsked(world)).toBe('read write')
    expect((await provider.describe()).scope).toBe('read write')
  })

  it('tells of it once by an event, with the scope and without a secret [step-up.condition] [events.safe]', async () => {
    const { api, provider } = await signedIn(world)
    const told: unknown[] = []
    provider.on('stepUp', (event) => told.push(event))
    await Promise.all([api.get(needsWrite), api.get(`${needsWrite}&n=2`)])
    expect(told).toMatchObject([{ scope: 'write', origin: world.origin.as }])
    expect(world.leaksIn(told)).toEqual([])
  })

  it('asks for what is configured, was asked for and was granted before, without duplicates and in a stable order [step-up.union]', async () => {
    world.answer('token', withMembers({ scope: 'read mine extra' }), { times: 1 })
    const { api } = await signedIn(world, { scope: 'mine' })
    await api.get('/needs?scope=write')
    const first = scopeAsked(world)?.split(' ')
    expect(first).toEqual(expect.arrayContaining(['mine', 'read', 'extra', 'write']))
    expect(first).toHaveLength(4)
    await api.get('/needs?scope=delete')
    expect(scopeAsked(world)).toBe([...(first ?? []), 'delete'].join(' '))
  })

  it('asks after a restart for what the stored tokens were granted [step-up.union]', async () => {
    const storage = new MemoryTokenStorage()
    const { api } = await signedIn(world, { storage })
    await api.get('/needs?scope=write')
    await world.connect({ storage }).api.get('/needs?scope=delete')
    expect(scopeAsked(world)).toBe('read write delete')
  })

  it('asks for what was asked for although it was not granted [step-up.union]', async () => {
    world.answer('token', withMembers({ scope: 'read' }), { times: 1 })
    const { api } = await signedIn(world, { scope: 'wish' })
    await api.get(needsWrite)
    expect(scopeAsked(world)?.split(' ').sort()).toEqual(['read', 'wish', 'write'])
  })

  it('of a POST sends the same body once more, and no third time [step-up.condition] [replay.once]', async () => {
    const { api } = await signedIn(world)
    await api.post(needsWrite, { n: 1 })
    expect(world.requests('api').map(({ body }) => body.toString())).toEqual(['{"n":1}', '{"n":1}'])
  })
})

describe('a plain 403', () => {
  it.each<[string, string | undefined]>([
    ['without a challenge', undefined],
    ['with another error', 'Bearer error="access_denied", scope="write"'],
    ['with a scope and no error', 'Bearer scope="write"'],
    ['with the error of another scheme', 'Basic realm="x", error="insufficient_scope", scope="write"'],
    ['with the error in a text', 'Bearer error_description="error=insufficient_scope, scope=write"'],
  ])(
    '%s is the caller’s, after exactly one request [step-up.plain-403] [step-up.condition] [LP-06]',
    async (_how, challenge) => {
      const { api } = await signedIn(world)
      refuse(challenge)
      const error = (await rejectionOf(api.post('/x', { n: 1 }))) as AxiosError
      expect(error.isAxiosError).toBe(true)
      expect(error.response).toMatchObject({ status: 403, data: { reason: 'policy' } })
      expect(world.steps()).toEqual(['api 403'])
    },
  )
})

describe('a step-up that gains nothing', () => {
  it.each([
    ['no scope', 'Bearer error="insufficient_scope"'],
    ['an empty scope', insufficient('')],
    ['only granted scopes', insufficient('read')],
  ])('because the challenge names %s is not begun [step-up.no-gain]', async (_which, challenge) => {
    const { api } = await signedIn(world)
    refuse(challenge)
    await expect(api.get('/x')).rejects.toMatchObject({ status: 403 })
    expect(world.steps()).toEqual(['api 403'])
  })

  it('is not repeated: a second refusal is the caller’s, and later requests ask nobody [step-up.no-gain] [step-up.budget] [LP-04]', async () => {
    const { api } = await signedIn(world)
    refuse(insufficient('write'))
    await expect(api.get('/x')).rejects.toMatchObject({ status: 403, response: { data: { reason: 'policy' } } })
    expect(mainSteps(world)).toEqual(['api 403', 'authorize 302', 'token 200', 'api 403'])
    for (let n = 1; n <= 3; n += 1) await expect(api.get('/x')).rejects.toMatchObject({ status: 403 })
    expect(world.user.visits).toHaveLength(2)
    expect(world.count('api')).toBe(5)
  })

  it('because the server grants less than asked asks once, and the 403 is the caller’s [step-up.no-gain] [step-up.budget] [TK-19]', async () => {
    const { api, provider } = await signedIn(world)
    world.answer('token', withMembers({ scope: 'read' }))
    refuse(insufficient('write'))
    for (let n = 1; n <= 3; n += 1) await expect(api.get(needsWrite)).rejects.toMatchObject({ status: 403 })
    expect(world.user.visits).toHaveLength(2)
    expect((await provider.describe()).scope).toBe('read')
  })
})

describe('the budget of step-ups', () => {
  it('is one flow for requests that need the same at one time [step-up.budget] [concurrency.keyed]', async () => {
    const { api } = await signedIn(world)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => api.get(`${needsWrite}&n=${n}`)))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(world.user.visits).toHaveLength(2)
    expect(world.count('token')).toBe(1)
    expect(world.count('api')).toBe(40)
  })

  it('serves different needs at one time one after the other, and no scope is lost [step-up.budget] [step-up.union]', async () => {
    const { api, provider } = await signedIn(world)
    await Promise.all([api.get('/needs?scope=a'), api.get('/needs?scope=b'), api.get('/needs?scope=a%20b')])
    expect((await provider.describe()).scope?.split(' ').sort()).toEqual(['a', 'b', 'read'])
    expect(world.user.visits.length).toBeLessThanOrEqual(4)
  })

  it('is one per request: a second refusal for another scope is the caller’s [step-up.budget] [LP-05]', async () => {
    const { api } = await signedIn(world)
    let n = 0
    world.answer('api', () => ({ status: 403, headers: { 'WWW-Authenticate': insufficient(`s${(n += 1)}`) } }))
    await expect(api.get('/x')).rejects.toMatchObject({ status: 403 })
    expect(mainSteps(world)).toEqual(['api 403', 'authorize 302', 'token 200', 'api 403'])
  })

  it('is capped over time: a new scope in every refusal does not ask for ever [LP-05]', async () => {
    const { api } = await signedIn(world)
    let n = 0
    world.answer('api', () => ({ status: 403, headers: { 'WWW-Authenticate': insufficient(`s${(n += 1)}`) } }))
    for (let request = 1; request <= 12; request += 1) {
      await expect(api.get('/x')).rejects.toMatchObject({ status: 403 })
    }
    expect(world.user.visits).toHaveLength(1 + 5)
    expect(world.count('api')).toBe(12 + 5)
  })

  it('is there again after a while [step-up.budget]', async () => {
    const { api } = await signedIn(world)
    world.user.deny()
    await expect(api.get(needsWrite)).rejects.toMatchObject({ code: 'OAUTH_SCOPE_DENIED' })
    world.user.approve()
    world.clock.advance(599_999)
    await expect(api.get(needsWrite)).rejects.toMatchObject({ status: 403 })
    world.clock.advance(1)
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(3)
  })

  it.each<[string, (provider: { signOut(): Promise<void>; authorize(): Promise<void> }) => Promise<void>]>([
    ['the person signed in anew', (provider) => provider.authorize()],
    ['the session was signed out', (provider) => provider.signOut()],
  ])('is there again when %s [step-up.budget]', async (_what, change) => {
    const { api, provider } = await signedIn(world)
    world.user.deny()
    await expect(api.get(needsWrite)).rejects.toMatchObject({ code: 'OAUTH_SCOPE_DENIED' })
    world.user.approve()
    await change(provider)
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
  })

  it('is not used up by an outage before anybody was asked [step-up.budget]', async () => {
    const { api } = await signedIn(world)
    const outage = world.answer('prm', { status: 503 })
    await expect(api.get(needsWrite)).rejects.toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    outage()
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
  })
})

describe('stepUp', () => {
  it('`throw` is a typed error with the scope that is needed and the 403 behind it [step-up.mode]', async () => {
    const { api, provider } = await signedIn(world, { stepUp: 'throw' })
    for (let n = 1; n <= 2; n += 1) {
      expect(await rejectionOf(api.get(needsWrite))).toMatchObject({
        name: 'OAuthScopeError',
        code: 'OAUTH_SCOPE_DENIED',
        phase: 'scope',
        requiredScope: 'write',
        retryable: false,
        response: { status: 403 },
      })
    }
    expect(world.steps()).toEqual(['api 403', 'api 403'])
    await provider.authorize({ scope: 'write' })
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
  })

  it('`throw` does not matter to a request that was sent before the access was given: it is sent again [step-up.mode] [step-up.condition]', async () => {
    const { api, provider } = await signedIn(world, { stepUp: 'throw' })
    const slow = world.hold('api')
    const late = api.get(needsWrite)
    await slow.arrived
    await provider.authorize({ scope: 'write' })
    slow.release()
    await expect(late).resolves.toMatchObject({ status: 200 })
    expect(mainSteps(world)).toEqual(['api 403', 'authorize 302', 'token 200', 'api 200'])
  })

  it('`off` is the 403 as it is [step-up.mode]', async () => {
    const { api } = await signedIn(world, { stepUp: 'off' })
    await expect(api.get(needsWrite)).rejects.toMatchObject({ isAxiosError: true, status: 403 })
    expect(world.steps()).toEqual(['api 403'])
  })
})

describe('a step-up that fails', () => {
  const denied = { name: 'OAuthScopeError', code: 'OAUTH_SCOPE_DENIED', requiredScope: 'write' }

  it('because the person declines is typed; the present token stays, and nobody is asked again at once [step-up.declined] [LP-08]', async () => {
    const { api } = await signedIn(world)
    world.user.deny()
    expect(await rejectionOf(api.get(needsWrite))).toMatchObject({
      ...denied,
      oauthError: 'access_denied',
      cause: { code: 'OAUTH_AUTHORIZATION_DENIED' },
      response: { status: 403 },
    })
    world.forget()
    await expect(api.get(needsWrite)).rejects.toMatchObject({ isAxiosError: true, status: 403 })
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
    expect(mainSteps(world)).toEqual(['api 403', 'api 200'])
    expect(world.user.visits).toHaveLength(2)
  })

  it('is one failure for all who wait for it [step-up.declined] [concurrency.failure-shared]', async () => {
    const { api } = await signedIn(world)
    const person = world.user.hold()
    world.user.deny()
    const requests = [1, 2, 3].map((n) => rejectionOf(api.get(`${needsWrite}&n=${n}`)))
    await person.arrived
    person.release()
    for (const error of await Promise.all(requests)) expect(error).toMatchObject(denied)
    expect(world.user.visits).toHaveLength(2)
  })

  it.each<[string, () => void, Partial<OAuthFlowError>]>([
    [
      'because the code is refused',
      () => void world.answer('token', { status: 400, body: { error: 'invalid_grant' } }),
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR' },
    ],
    [
      'because the token is no token',
      () => void world.answer('token', { body: { token_type: 'Bearer' } }),
      { code: 'OAUTH_TOKEN_INVALID' },
    ],
    [
      'because the callback is none',
      () => world.user.rewrite((url) => url.replace(/code=[^&]*/, 'code=')),
      { code: 'OAUTH_CALLBACK_INVALID' },
    ],
  ])('%s keeps the present token too [step-up.declined]', async (_why, spoil, cause) => {
    const storage = new MemoryTokenStorage()
    const { api } = await signedIn(world, { storage })
    spoil()
    expect(await rejectionOf(api.get(needsWrite))).toMatchObject({ ...denied, cause })
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
    await expect(world.connect({ storage }).api.get('/x')).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(2)
  })

  it('because the person stays away past the deadline is typed [step-up.declined]', async () => {
    const { api } = await signedIn(world, { timeout: 50 })
    world.user.leave()
    expect(await rejectionOf(api.get(needsWrite))).toMatchObject({
      ...denied,
      cause: { code: 'OAUTH_CALLBACK_TIMEOUT' },
    })
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
  })
})

describe('a step-up where nobody can be asked', () => {
  async function unattended(o: ConnectOptions = {}): ReturnType<typeof signedIn> {
    const storage = new MemoryTokenStorage()
    await signedIn(world, { storage })
    return world.connect({ storage, interactive: false, ...o })
  }

  it('rejects with one authorization URL for all requests, until somebody has used it [step-up.mode] [flow.non-interactive]', async () => {
    const { api, provider } = await unattended()
    const errors = await Promise.all([1, 2, 3].map((n) => rejectionOf(api.get(`${needsWrite}&n=${n}`))))
    const later = await rejectionOf(api.get(needsWrite))
    for (const error of [...errors, later] as OAuthFlowError[]) {
      expect(error).toMatchObject({
        name: 'OAuthScopeError',
        code: 'OAUTH_AUTHORIZATION_REQUIRED',
        requiredScope: 'write',
      })
    }
    const urls = new Set(([...errors, later] as OAuthFlowError[]).map(({ authorizationUrl }) => authorizationUrl))
    expect(urls.size).toBe(1)
    const [url = ''] = urls
    expect(new URL(url ?? '').searchParams.get('scope')).toBe('read write')
    await expect(api.get('/x')).resolves.toMatchObject({ status: 200 })
    await provider.finishAuthorization(await world.user.visit(url ?? ''))
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
  })
})

describe('a step-up beside a renewal', () => {
  it('waits for it, and the outcome has all scopes and a live refresh token [RF-09] [step-up.union]', async () => {
    const { api, provider } = await signedIn(world)
    const renewal = world.hold('token')
    world.revokeAccessTokens()
    const reading = api.get('/x')
    expect((await renewal.arrived).form?.get('grant_type')).toBe('refresh_token')
    const writing = api.get('/y', { oauth: { scope: 'write' } })
    renewal.release()
    await Promise.all([reading, writing])
    const steps = mainSteps(world)
    expect(steps.slice(0, 2)).toEqual(['api 401', 'token 200'])
    expect(steps.indexOf('authorize 302')).toBeGreaterThan(1)
    expect((await provider.describe()).scope).toBe('read write')
    world.expireTokens()
    await expect(api.get(needsWrite)).resolves.toMatchObject({ status: 200 })
    expect(world.user.visits).toHaveLength(2)
    expect(world.reuseDetections).toBe(0)
  })
})

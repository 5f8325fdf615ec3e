import { deviceCode, type OAuthOptions, type UserCode } from 'axios-oauth2'
import * as oauth4webapi from 'oauth4webapi'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import {
  pathOf,
  startWorld,
  withMembers,
  type Answering,
  type Entry,
  type World,
  type WorldOptions,
} from '../support/world'

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'
const secretCode = 'the-device-code-nobody-else-knows'
const pending = { status: 400, body: { error: 'authorization_pending' } }
const tokens = {
  body: { access_token: 'device-token', token_type: 'Bearer', expires_in: 600, refresh_token: 'device-refresh' },
}

let world: World
let codes: UserCode[]
/** By which a spec sees that the pause before a poll has begun. */
let timers: jest.SpiedFunction<typeof setTimeout>
beforeEach(() => {
  codes = []
  // Requests are real; what waits, waits for this clock.
  jest.useFakeTimers({ doNotFake: [...realTimers] })
  timers = jest.spyOn(globalThis, 'setTimeout')
})
afterEach(async () => {
  timers.mockRestore()
  jest.useRealTimers()
  await world.stop()
})

const realTimers = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
] as const

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld({ scopesSupported: ['read'], ...o })
  world.answer('as-metadata', withMembers({ device_authorization_endpoint: `${world.issuer}/device` }))
  deviceAnswers({ body: honestBody() })
}

const honestBody = () => ({
  device_code: secretCode,
  user_code: 'WDJB-MJHT',
  verification_uri: `${world.issuer}/enter`,
  verification_uri_complete: `${world.issuer}/enter?user_code=WDJB-MJHT`,
  expires_in: 900,
})

const isDevice = (entry: Entry): boolean => pathOf(entry) === '/device'
const deviceRequests = (): Entry[] => world.requests('other').filter(isDevice)
function deviceAnswers(answer: Answering): void {
  world.answer('other', answer, { when: isDevice })
}

const headless = (o: Partial<OAuthOptions> = {}) =>
  world.connect({
    grant: deviceCode({ onUserCode: (code) => void codes.push(code) }),
    clientInformation: { client_id: 'television' },
    clientMetadata: { client_name: 'Television' },
    interactive: false,
    ...o,
  })

/** Lets real requests finish until something has happened. */
async function until(happened: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 3_000; !happened();) {
    if (Date.now() > deadline) throw new Error('It has not happened.')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Time passes until one more poll has been answered. */
async function nextPoll(seconds = 5): Promise<void> {
  const before = world.count('token')
  await until(() => timers.mock.calls.some(([, delay]) => delay === seconds * 1000))
  timers.mockClear()
  world.clock.advance(seconds * 1000)
  jest.advanceTimersByTime(seconds * 1000)
  await until(() => world.count('token') === before + 1 && world.requests('token').at(-1)!.status > 0)
}

describe('deviceCode()', () => {
  it('asks for a code with client, scope and resource, as oauth4webapi does, and shows it [device.request]', async () => {
    await start()
    world.answer('token', tokens)
    const signedIn = headless().provider.authorize()
    await until(() => codes.length === 1)
    expect(codes[0]).toMatchObject({
      userCode: 'WDJB-MJHT',
      verificationUri: `${world.issuer}/enter`,
      verificationUriComplete: `${world.issuer}/enter?user_code=WDJB-MJHT`,
      expiresAt: world.clock.now() + 900_000,
    })
    expect(JSON.stringify(codes[0])).not.toContain(secretCode)
    await nextPoll()
    await signedIn
    expect(codes[0]!.signal.aborted).toBe(true)
    const server = { issuer: world.issuer, device_authorization_endpoint: `${world.issuer}/device` }
    const parameters = { scope: 'read', resource: world.serverUrl }
    const o = { [oauth4webapi.allowInsecureRequests]: true }
    await oauth4webapi.deviceAuthorizationRequest(
      server,
      { client_id: 'television' },
      oauth4webapi.None(),
      parameters,
      o,
    )
    const [ours, theirs] = deviceRequests().map(({ form }) => Object.fromEntries(form!))
    expect(ours).toEqual(theirs)
  })

  it('polls until the person has answered, then attaches, and refreshes like any sign-in [device.polling] [grant.strategy]', async () => {
    await start()
    world.answer('token', pending, { times: 2 })
    world.answer('token', tokens, { times: 1 })
    world.answer('token', { body: { access_token: 'renewed-token', token_type: 'Bearer' } }, { times: 1 })
    for (const token of ['device-token', 'renewed-token']) {
      world.answer('api', {}, { when: ({ headers }) => headers.authorization === `Bearer ${token}` })
    }
    const { api } = headless()
    const answered = api.get('')
    await until(() => codes.length === 1)
    await nextPoll()
    await nextPoll()
    await nextPoll()
    expect((await answered).status).toBe(200)
    const polls = world.requests('token').map(({ form }) => Object.fromEntries(form!))
    expect(polls[2]).toEqual({
      grant_type: grantType,
      device_code: secretCode,
      client_id: 'television',
      resource: world.serverUrl,
    })
    world.clock.advance(600_000)
    world.answer('api', {}, { when: ({ headers }) => headers.authorization === 'Bearer renewed-token' })
    expect((await api.get('')).status).toBe(200)
    expect(world.requests('token').at(-1)!.form!.get('grant_type')).toBe('refresh_token')
    expect(deviceRequests()).toHaveLength(1)
  })

  it('holds no lock while it polls: others are served [concurrency.interactive-apart]', async () => {
    await start()
    world.answer('token', tokens)
    const { provider } = headless()
    const signedIn = provider.authorize()
    await until(() => codes.length === 1)
    await provider.context.exclusive(async () => undefined)
    await nextPoll()
    await signedIn
  })

  it('is one sign-in for everybody who waits [flow.single-prompt]', async () => {
    await start()
    world.answer('token', tokens)
    const { provider } = headless()
    const waiting = Promise.all(Array.from({ length: 10 }, () => provider.getAccessToken()))
    await until(() => codes.length === 1)
    await nextPoll()
    expect(new Set(await waiting)).toEqual(new Set(['device-token']))
    expect([codes.length, deviceRequests().length]).toEqual([1, 1])
  })

  it('registers for its grant, without redirect URI, where the client is not known beforehand [dcr.grant-types]', async () => {
    await start()
    world.answer('register', { status: 201, body: { client_id: 'registered', token_endpoint_auth_method: 'none' } })
    world.answer('token', tokens)
    const { provider } = world.connect({
      grant: deviceCode({ onUserCode: (code) => void codes.push(code) }),
      clientMetadata: { client_name: 'Television' },
      interactive: false,
    })
    const signedIn = provider.authorize()
    await until(() => codes.length === 1)
    await nextPoll()
    await signedIn
    expect(world.requests('register')[0]!.json).toMatchObject({
      client_name: 'Television',
      grant_types: [grantType, 'refresh_token'],
      response_types: [],
    })
    expect(world.requests('register')[0]!.json).not.toHaveProperty('redirect_uris')
  })

  it('ends with the signal of the last who waited, and polls no more [device.polling]', async () => {
    await start()
    world.answer('token', pending)
    const controller = new AbortController()
    const signedIn = headless().provider.authorize({ signal: controller.signal })
    await until(() => codes.length === 1)
    await nextPoll()
    controller.abort(new Error('enough'))
    await expect(signedIn).rejects.toThrow('enough')
    await until(() => jest.getTimerCount() === 0)
    jest.advanceTimersByTime(60_000)
    expect(world.count('token')).toBe(1)
    expect(codes[0]!.signal.aborted).toBe(true)
  })

  const answers: readonly (readonly [string, string, object])[] = [
    ['the person says no', 'access_denied', { name: 'OAuthAuthorizationError', code: 'OAUTH_AUTHORIZATION_DENIED' }],
    ['the code expires', 'expired_token', { name: 'OAuthAuthorizationError', code: 'OAUTH_CALLBACK_TIMEOUT' }],
    ['the server refuses', 'invalid_grant', { name: 'OAuthTokenError', code: 'OAUTH_TOKEN_ENDPOINT_ERROR' }],
  ]
  it.each(answers)(
    'is a typed error with a hint when %s; the session before survives [device.polling] [SC-02]',
    async (_what, error, expected) => {
      await start()
      world.answer('token', tokens, { times: 1 })
      const { provider } = headless()
      const first = provider.authorize()
      await until(() => codes.length === 1)
      await nextPoll()
      await first
      world.answer('token', { status: 400, body: { error, error_description: `of ${secretCode}` } })
      const second = failureOf(provider.authorize())
      await until(() => codes.length === 2)
      await nextPoll()
      const reason = await second
      expect(reason).toMatchObject({ ...expected, retryable: false })
      expect(rendered(reason)).not.toContain(secretCode)
      expect(await provider.getAccessToken()).toBe('device-token')
    },
  )

  it('says how to do without where the server has no device endpoint [device.request]', async () => {
    world = await startWorld()
    const error = await failureOf(headless().provider.authorize())
    expect(error).toMatchObject({
      code: 'OAUTH_DISCOVERY_FAILED',
      hint: expect.stringContaining('device_authorization_endpoint'),
    })
    expect(codes).toEqual([])
  })

  const refusals: readonly (readonly [string, Answering, object])[] = [
    [
      'unauthorized_client',
      { status: 400, body: { error: 'unauthorized_client' } },
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'unauthorized_client' },
    ],
    [
      'an error under 200',
      { body: { error: 'invalid_scope' } },
      { code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_scope' },
    ],
    ['an outage', { status: 503 }, { code: 'OAUTH_TEMPORARY', retryable: true }],
    ['a page', { body: '<html>' }, { code: 'OAUTH_TOKEN_ENDPOINT_ERROR' }],
    [
      'a URL that must not be opened',
      { body: { device_code: 'd', user_code: 'A', verification_uri: 'javascript:alert(1)' } },
      { code: 'OAUTH_URL_FORBIDDEN' },
    ],
  ]
  it.each(refusals)(
    'is a typed error when the device endpoint answers with %s; nothing is shown [device.request]',
    async (_what, answer, expected) => {
      await start()
      deviceAnswers(answer)
      await expect(headless().provider.authorize()).rejects.toMatchObject(expected)
      expect([codes.length, world.count('token')]).toEqual([0, 0])
    },
  )

  it('ends when the code cannot be shown, and shows nothing of why [CC-05]', async () => {
    await start()
    const onUserCode = (): never => {
      throw new Error('password=hunter2')
    }
    const error = await failureOf(headless({ grant: deviceCode({ onUserCode }) }).provider.authorize())
    expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED', hint: expect.stringContaining('onUserCode') })
    expect(rendered(error)).not.toContain('hunter2')
    await until(() => jest.getTimerCount() === 0)
  })

  it('takes nothing for its answer that somebody hands to finishAuthorization()', async () => {
    await start()
    const { provider } = headless()
    await expect(provider.finishAuthorization('?state=s&code=c')).rejects.toMatchObject({ code: 'OAUTH_CONFLICT' })
  })

  it('is refused at construction without onUserCode', () => {
    expect(() => deviceCode({} as never)).toThrow(TypeError)
    world = { stop: async () => undefined } as World
  })
})

import axios, { type AxiosInstance } from 'axios'
import { deviceCode, oauth, type OAuthClientProvider, type OAuthOptions, type UserCode } from 'axios-oauth2'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import { startStack, UserAgent, type Stack, type StackFlags } from '../support/servers/start'

// A device without a browser at oidc-provider: the person is a user agent elsewhere, the polls are real.

jest.setTimeout(30_000)

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'
const television = {
  client_id: 'television',
  token_endpoint_auth_method: 'none',
  grant_types: [grantType, 'refresh_token'],
  redirect_uris: [],
  response_types: [],
}

let stack: Stack
let codes: UserCode[]

async function start(flags: StackFlags = {}): Promise<void> {
  const authorizationServer = { clients: [television], ...flags.authorizationServer }
  stack = await startStack({ mcp: false, ...flags, authorizationServer })
}
afterAll(() => stack?.stop())

/** What the person does with a code that is shown. */
type Person = (code: UserCode) => unknown

const approving: Person = ({ verificationUriComplete = '' }) => new UserAgent().approveDevice(verificationUriComplete)
/** Says no, and then goes round in the pages of the server, which ask for another code. */
const denying: Person = (code) => (approving(code) as Promise<unknown>).catch(() => undefined)
const leaving: Person = () => undefined

function headless(
  person: Person,
  o: Partial<OAuthOptions> = {},
): { api: AxiosInstance; provider: OAuthClientProvider } {
  const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
  const grant = deviceCode({ onUserCode: async (code) => void (codes.push(code), await person(code)) })
  return { api, provider: oauth(api, { grant, clientInformation: { client_id: television.client_id }, ...o }) }
}

const polls = async (): Promise<(string | undefined)[]> =>
  (await stack.authorizationServer.control.journal())
    .filter(({ path, values }) => path === '/token' && values?.grant_type === grantType)
    .map(({ error, issued }) => error ?? issued?.token_type)

async function reset(): Promise<void> {
  codes = []
  await stack.authorizationServer.control.post('/decision', {})
  await stack.authorizationServer.control.reset()
  await stack.api.control.reset()
}

describe('a sign-in on another device, at oidc-provider', () => {
  beforeAll(() => start())
  afterAll(() => stack.stop())
  beforeEach(reset)

  it('ends when the person has approved, serves everybody who waits, and renews without a person [device.request] [device.polling]', async () => {
    let ahead = 0
    const { api } = headless(approving, { now: () => Date.now() + ahead })
    const answers = await Promise.all([api.get<{ owner: string }>('/notes'), api.get('/notes'), api.post('/notes', {})])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 201])
    expect(answers[0].data.owner).toBe('alice')
    expect(codes).toHaveLength(1)
    expect((await polls()).at(-1)).toBe('Bearer')
    ahead = 300_000
    await api.get('/notes')
    expect((await stack.authorizationServer.control.counters()).tokensIssued).toEqual({
      [grantType]: 1,
      refresh_token: 1,
    })
  })

  it('waits while nobody has answered, with the code shown, and asks no more often than told [device.polling]', async () => {
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => (answer = resolve))
    const { provider } = headless(async (code) => {
      await answered
      await approving(code)
    })
    const signedIn = provider.authorize()
    while (!(await polls()).includes('authorization_pending')) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(codes[0]!.signal.aborted).toBe(false)
    answer()
    await signedIn
    expect(codes[0]!.signal.aborted).toBe(true)
    const arrivals = (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')
    const gaps = arrivals.slice(1).map(({ at }, index) => at - arrivals[index]!.at)
    expect(gaps.filter((gap) => gap < 950)).toEqual([])
  })

  it('is denied with a typed error and a hint; the code is in no rendering [device.polling] [SC-02]', async () => {
    await stack.authorizationServer.control.post('/decision', { error: 'access_denied' })
    const { api } = headless(denying)
    const error = await api.get('/notes').then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({
      code: 'OAUTH_AUTHORIZATION_DENIED',
      oauthError: 'access_denied',
      hint: expect.stringContaining('authorize()'),
      response: { status: 401 },
    })
    expect(rendered(error)).not.toContain(codes[0]!.userCode)
    expect(await polls()).toContain('access_denied')
  })

  it('is cancelled by who asked for it: polling ends, and the next sign-in gets a code of its own [device.polling]', async () => {
    const controller = new AbortController()
    const { provider } = headless((code) => (codes.length === 1 ? controller.abort() : approving(code)))
    await expect(provider.authorize({ signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
    expect(codes[0]!.signal.aborted).toBe(true)
    await provider.authorize()
    expect(new Set(codes.map(({ userCode }) => userCode)).size).toBe(2)
    expect((await polls()).filter((answer) => answer === 'Bearer')).toHaveLength(1)
  })

  it('registers for the grant where nobody registered it beforehand [dcr.grant-types]', async () => {
    const api = axios.create({ baseURL: stack.api.urls.api, proxy: false })
    oauth(api, {
      grant: deviceCode({ onUserCode: (code) => void approving(code) }),
      clientMetadata: { client_name: 'Television' },
    })
    expect((await api.get('/notes')).status).toBe(200)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({ registrations: 1 })
  })
})

describe('a code of two seconds', () => {
  beforeAll(() => start({ authorizationServer: { deviceCodeTtl: 2 } }))
  afterAll(() => stack.stop())
  beforeEach(reset)

  it('expires with a typed error and a hint; a session from before survives [device.polling] [refresh.transient-keeps-session]', async () => {
    const { api, provider } = headless((code) => (codes.length === 1 ? approving(code) : leaving(code)))
    await api.get('/notes')
    const error = await failureOf(provider.authorize())
    expect(error).toMatchObject({ code: 'OAUTH_CALLBACK_TIMEOUT', retryable: false })
    expect(error.hint).toContain('authorize()')
    expect(codes).toHaveLength(2)
    expect((await api.get('/notes')).status).toBe(200)
  })

  it('expires by the word of the server where the clock of the device stands still [device.polling]', async () => {
    const standing = Date.now()
    const { provider } = headless(leaving, { now: () => standing })
    expect(await failureOf(provider.authorize())).toMatchObject({ code: 'OAUTH_CALLBACK_TIMEOUT' })
    expect((await polls()).at(-1)).toBe('expired_token')
  })
})

describe('a device with DPoP', () => {
  beforeAll(() => start({ authorizationServer: { dpopNonce: true }, api: { dpop: 'required', dpopNonce: true } }))
  afterAll(() => stack.stop())
  beforeEach(reset)

  it('polls with proofs, learns the nonce, and presents a bound token [device.polling] [dpop.token-request] [dpop.as-nonce]', async () => {
    const { api } = headless(approving)
    expect((await api.get<object>('/whoami')).data).toMatchObject({ sub: 'alice', bound: true })
    const requests = (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')
    expect(requests.every(({ dpop }) => dpop === true)).toBe(true)
    expect(requests.filter(({ error }) => error === 'use_dpop_nonce').length).toBeLessThanOrEqual(1)
    await stack.api.control.post('/reject-seen')
    expect((await api.get('/notes')).status).toBe(200)
    expect((await stack.authorizationServer.control.counters()).tokensIssued).toMatchObject({ refresh_token: 1 })
  })
})

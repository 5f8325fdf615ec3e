import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import axios, { type AxiosInstance } from 'axios'
import { clientCredentials, type OAuthClientProvider, type OAuthFlowError } from 'axios-oauth2'
import { ObservedStorage } from './support/observed-storage'
import { mainSteps, rejectionOf, signedIn, steadyRandom } from './support/session'
import {
  startWorld,
  withMembers,
  type Answering,
  type Client,
  type ConnectOptions,
  type Entry,
  type World,
} from './support/world'

let world: World
beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

/** A point at which tokens are asked for, right before that. */
interface Stage {
  readonly api: AxiosInstance
  readonly provider: OAuthClientProvider
  readonly storage: ObservedStorage
}

const stages: Readonly<Record<string, (o?: ConnectOptions) => Promise<Stage>>> = {
  'the code exchange': (o) => {
    const storage = new ObservedStorage()
    return Promise.resolve({ storage, ...world.connect({ storage, random: steadyRandom, ...o }) })
  },
  'a refresh': async (o) => {
    const storage = new ObservedStorage()
    const connection = await signedIn(world, { storage, random: steadyRandom, ...o })
    world.expireTokens()
    return { storage, ...connection }
  },
}
const stageNames = Object.keys(stages)

const good = { access_token: 'a-fine-token', token_type: 'Bearer', expires_in: 3600 }
const anything = { when: ({ headers }: Entry): boolean => headers.authorization !== undefined }

/** The API takes any token. */
function trustingApi(): void {
  world.answer('api', { body: 'fine' }, anything)
}

/** What the API was handed last. */
function credential(): string | undefined {
  return world.requests('api').at(-1)?.headers.authorization
}

/** Each row at each point. */
function everywhere<T extends readonly unknown[]>(rows: readonly T[]): (readonly [string, ...T])[] {
  return stageNames.flatMap((stage) => rows.map((row) => [stage, ...row] as const))
}

/**
 * The answer is refused: the error reaches the caller, no secret is in it, what was stored is as it was, nobody is asked a
 * second time and nothing was sent to the API with what came.
 */
async function refusedAt(stage: string, answer: Answering, o: ConnectOptions = {}): Promise<OAuthFlowError> {
  const { api, storage } = await stages[stage]!(o)
  const visits = world.user.visits.length
  const before = new Map(storage.entries)
  world.answer('token', answer)
  const error = (await rejectionOf(api.get('/x'))) as OAuthFlowError
  expect(error).toMatchObject({ phase: 'token', endpoint: expect.stringMatching(/\/token$/) as string })
  expect(error.message).toMatch(/^.{1,1024}$/)
  expect(world.leaksIn(error)).toEqual([])
  expect(world.user.visits.length - visits).toBe(stage === 'a refresh' ? 0 : 1)
  if (stage === 'a refresh') expect(storage.entries).toEqual(before)
  else expect(storage.records('tokens')).toEqual([])
  expect(world.requests('api').filter(({ status }) => status === 200)).toHaveLength(0)
  return error
}

describe('a token request', () => {
  it('is a form-encoded POST that accepts JSON, has no empty parameter and nothing in its URL [token.request-form]', async () => {
    const { api } = world.connect({ tokenParams: { nothing: '' } })
    await api.get('')
    world.expireTokens()
    await api.get('')
    const { redirect_uris: _, ...clientInformation } = world.addClient()
    await world.connect({ grant: clientCredentials(), clientInformation }).provider.getAccessToken()
    expect(world.count('token')).toBe(3)
    for (const { method, url, headers, form } of world.requests('token')) {
      expect(`${method} ${url}`).toBe('POST /token')
      expect(headers['content-type']).toBe('application/x-www-form-urlencoded')
      expect(headers.accept).toBe('application/json')
      expect([...(form?.values() ?? [])]).not.toContain('')
    }
    expect(
      world.journal
        .filter(({ url }) => world.secrets().some((secret) => url.includes(secret)))
        .map(({ endpoint }) => endpoint),
    ).toEqual(world.requests('authorize').map(() => 'authorize'))
  })

  it('for a code has what RFC 6749 and 7636 name, and nothing else [token.code-exchange]', async () => {
    await world.connect({ scope: 'read' }).api.get('')
    const form = world.requests('token')[0]?.form
    expect([...(form?.keys() ?? [])].sort()).toEqual([
      'client_id',
      'code',
      'code_verifier',
      'grant_type',
      'redirect_uri',
      'resource',
    ])
    expect(form?.get('redirect_uri')).toBe(world.redirectUri)
    expect(form?.get('code_verifier')).toMatch(/^[\w.~-]{128}$/)
  })

  it('for a refresh has the token, resource and client, and no scope [grant.refresh-request]', async () => {
    const { api } = await signedIn(world, { scope: 'read' })
    world.expireTokens()
    await api.get('')
    const form = world.requests('token')[0]?.form
    expect([...(form?.keys() ?? [])].sort()).toEqual(['client_id', 'grant_type', 'refresh_token', 'resource'])
  })

  it.each<[string, Answering]>([
    ['an outage', { status: 503 }],
    ['a lost connection', 'reset'],
    ['a refusal', { status: 400, body: { error: 'invalid_grant' } }],
    ['a private answer', { status: 403, body: 'no' }],
    ['no token', { body: {} }],
  ])('presents a code once: %s is not tried again [token.code-once] [TK-36]', async (_what, answer) => {
    const { api } = world.connect()
    world.answer('token', answer)
    await rejectionOf(api.get(''))
    expect(world.count('token')).toBe(1)
  })
})

describe('a token response', () => {
  it.each([200, 201, 202, 203])('may have the status %d [token.any-2xx] [TK-46]', async (status) => {
    world.answer('token', async (_request, honest) => ({ ...(await honest()), status }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each(
    everywhere([
      ['204', { status: 204, body: good }],
      ['206', { status: 206, body: good }],
      ['200 without a body', { status: 200 }],
    ]),
  )('of %s that is %s is temporary [token.any-2xx] [TK-46]', async (stage, _what, answer) => {
    expect(await refusedAt(stage, answer)).toMatchObject({ name: 'OAuthTokenError', code: 'OAUTH_TEMPORARY' })
  })

  const json = JSON.stringify(good)
  const form = 'access_token=a-fine-token&token_type=bearer&expires_in=3600'
  it.each(
    everywhere([
      ['JSON as text/html', { headers: { 'Content-Type': 'text/html' }, body: json }],
      ['JSON without a type', { headers: { 'Content-Type': '' }, body: json }],
      ['JSON after a byte order mark', { body: `\ufeff${json}` }],
      ['a form that says so', { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form }],
      [
        'a form that says so in capitals',
        { headers: { 'Content-Type': 'Application/X-WWW-Form-URLEncoded; charset=UTF-8' }, body: form },
      ],
    ]),
  )('of %s may be %s [token.body-shapes] [TK-27]', async (stage, _shape, answer) => {
    const { api } = await stages[stage]!()
    trustingApi()
    world.answer('token', answer)
    await api.get('/x')
    expect(credential()).toBe('Bearer a-fine-token')
  })

  it('may be an object that an adapter has parsed already [token.body-shapes]', async () => {
    const { api } = world.connect(
      {},
      {
        adapter: async (config) => {
          const response = await axios.getAdapter('http')(config)
          const type = String(response.headers['content-type'])
          return type.includes('json')
            ? { ...response, data: JSON.parse(response.data as string) as unknown }
            : response
        },
      },
    )
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
  })

  it.each(
    everywhere([
      ['an array', [good]],
      ['null', 'null'],
      ['a number', '42'],
      ['a bare text', JSON.stringify('a-fine-token')],
      ['a page', '<html>login</html>'],
    ]),
  )('of %s is not %s [token.body-shapes] [TK-38]', async (stage, _shape, body) => {
    const error = await refusedAt(stage, { headers: { 'Content-Type': 'application/json' }, body })
    expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
  })

  it.each(
    everywhere([
      ['has no access_token', { access_token: undefined }, 'TK-06'],
      ['has an empty access_token', { access_token: '' }, 'TK-07'],
      ['has an access_token with a line break', { access_token: 'a\r\nX-Injected: 1' }, 'TK-08'],
      ['has an access_token with a space', { access_token: 'a b' }, 'TK-08'],
      ['has an access_token in Latin-1', { access_token: 'tökén' }, 'TK-09'],
      ['has an access_token with an emoji', { access_token: 'a😀' }, 'TK-09'],
      ['has an access_token that no header takes', { access_token: 'a'.repeat(70_000) }, 'TK-10'],
      ['has an access_token that is no text', { access_token: 5 }, 'TK-06'],
      ['has an error as well', { error: 'invalid_grant' }, 'TK-26'],
      ['is for MAC', { token_type: 'mac' }, 'TK-01'],
      ['is for DPoP, which was not used', { token_type: 'DPoP' }, 'TK-02'],
      ['is no access token', { token_type: 'N_A' }, 'TK-01'],
      ['has a type that is no text', { token_type: 7 }, 'TK-01'],
    ]),
  )(
    'of %s is refused when it %s [token.charset] [token.type] [token.error-first] [TK-01 TK-02 TK-06 TK-07 TK-08 TK-09 TK-10 TK-26]',
    async (stage, _what, members) => {
      const error = await refusedAt(stage, { body: { ...good, ...members } })
      expect(error).toMatchObject({ name: 'OAuthTokenError', code: 'OAUTH_TOKEN_INVALID', retryable: false })
    },
  )

  it.each(everywhere([[{ 'Content-Type': 'text/plain' }]]))(
    'of %s is refused as a form under another type [token.body-shapes] [TK-27]',
    async (stage, headers) => {
      expect(await refusedAt(stage, { headers, body: form })).toMatchObject({ code: 'OAUTH_TOKEN_INVALID' })
    },
  )

  it.each(everywhere([['bearer'], ['BEARER'], ['Bearer'], [undefined], [null]]))(
    'of %s with the type %s is for `Authorization: Bearer` [token.type] [TK-04 TK-05]',
    async (stage, token_type) => {
      const { api } = await stages[stage]!()
      trustingApi()
      world.answer('token', { body: { ...good, token_type } })
      await api.get('/x')
      expect(credential()).toBe('Bearer a-fine-token')
    },
  )

  it('takes null and empty members as absent, and keeps the members it does not know, over renewals and restarts [token.null-members] [TK-23]', async () => {
    const storage = new ObservedStorage()
    world.answer(
      'token',
      withMembers({ scope: null, expires_in: null, id_token: '', team: { id: 'T1' }, region: 'eu' }),
      { times: 1 },
    )
    const { api, provider } = await signedIn(world, { storage })
    expect(provider.context.currentTokens).toMatchObject({ extra: { team: { id: 'T1' }, region: 'eu' } })
    for (const absent of ['scope', 'expiresAt', 'id_token'])
      expect(provider.context.currentTokens).not.toHaveProperty(absent)
    const refreshToken = provider.context.currentTokens?.refresh_token
    world.answer('token', withMembers({ refresh_token: null, region: 'us' }), { times: 1 })
    world.revokeAccessTokens()
    await api.get('')
    expect(provider.context.currentTokens).toMatchObject({
      refresh_token: refreshToken,
      extra: { team: { id: 'T1' }, region: 'us' },
    })
    const restarted = world.connect({ storage }).provider
    await restarted.context.load()
    expect(restarted.context.currentTokens?.extra).toEqual({ team: { id: 'T1' }, region: 'us' })
  })

  it('whose unknown members have names of ours changes no time [token.null-members] [lifetime.unknown]', async () => {
    const names = { expiresAt: 5, refreshAt: 5, mandatoryAt: 5, issuedAt: 5, dpop: { jkt: 'x' }, __proto__: null }
    world.answer('token', withMembers({ expires_in: undefined, ...names }))
    const { api } = await signedIn(world)
    await api.get('/x')
    expect(world.steps()).toEqual(['api 200'])
  })

  it('may be reshaped before it is checked, at every grant [token.transform]', async () => {
    world.answer('token', async (_request, honest) => {
      const { body, ...answer } = await honest()
      return { ...answer, body: { ok: true, authed_user: body } }
    })
    const seen: unknown[] = []
    const transformTokenResponse = (body: unknown): unknown => {
      seen.push(body)
      return (body as { authed_user: unknown }).authed_user
    }
    const { api } = world.connect({ transformTokenResponse })
    await api.get('')
    world.expireTokens()
    await expect(api.get('')).resolves.toMatchObject({ status: 200 })
    expect(seen).toHaveLength(2)
    expect(seen[0]).toMatchObject({ ok: true })
  })

  it('brings no cookie that is sent back, and a signed identity is nothing to trust [TK-43] [TK-44]', async () => {
    world.answer('token', async (_request, honest) => {
      const answer = await honest()
      const id_token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.'
      return { ...answer, headers: { 'Set-Cookie': 'session=1' }, body: { ...(answer.body as object), id_token } }
    })
    const { api, provider } = await signedIn(world)
    world.expireTokens()
    await api.get('')
    expect(world.journal.some(({ headers }) => headers.cookie !== undefined)).toBe(false)
    expect(JSON.stringify(await provider.describe())).not.toContain('admin')
  })

  it('may have an identity of any size that fits the answer [TK-44]', async () => {
    world.answer('token', withMembers({ id_token: 'x'.repeat(400_000) }))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
  })
})

describe('an error of the token endpoint', () => {
  it.each([200, 400, 401, 403])(
    'under the status %d is the server’s own code, whatever its challenge says [token.error-first] [token.error-parsed] [TK-25]',
    async (status) => {
      const headers = { 'WWW-Authenticate': 'Bearer error="other"' }
      const error = await refusedAt('the code exchange', {
        status,
        headers,
        body: { error: 'bad_verification_code', error_description: 'expired' },
      })
      expect(error).toMatchObject({
        name: 'OAuthTokenError',
        code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
        oauthError: 'bad_verification_code',
        oauthErrorDescription: 'expired',
        status,
      })
    },
  )

  it.each([
    'application/problem+json',
    'APPLICATION/JSON;charset=UTF-8',
    'application/vnd.api+json; a=b',
    'text/html',
    '',
  ])('is read from the media type "%s" [token.error-parsed]', async (type) => {
    const error = await refusedAt('the code exchange', {
      status: 400,
      headers: { 'Content-Type': type },
      body: JSON.stringify({ error: 'invalid_grant' }),
    })
    expect(error).toMatchObject({ oauthError: 'invalid_grant' })
  })

  it('without an OAuth error has the status and a short quoted piece of the text [token.error-parsed]', async () => {
    const error = await refusedAt('the code exchange', { status: 400, body: `no "thanks"\n${'x'.repeat(5000)}` })
    expect(error.message).toContain('400')
    expect(error.message).toContain('no \\"thanks\\"')
    expect(error.message.length).toBeLessThan(400)
  })

  it.each(stageNames)(
    'of %s that echoes the request shows no secret of it [TK-24] [errors.quoted] [redact.everywhere]',
    async (stage) => {
      const error = await refusedAt(stage, ({ body }) => ({
        status: 502,
        headers: { 'Content-Type': 'text/html' },
        body: `<html>Bad gateway: ${body.toString()} ${decodeURIComponent(body.toString())}</html>`,
      }))
      expect(error).toMatchObject({ code: 'OAUTH_TEMPORARY', status: 502 })
    },
  )

  it('has a description without secrets and control characters [TK-28]', async () => {
    const error = await refusedAt('the code exchange', ({ form }) => ({
      status: 400,
      body: {
        error: 'invalid_grant',
        error_description: `\u001b[31m${form?.get('code')}\u0007 and ${form?.get('code_verifier')}\r\n`,
      },
    }))
    expect(error.oauthErrorDescription).toMatch(/^[\x20-\x7e]+$/)
    expect(error.oauthErrorDescription).toContain('[redacted]')
  })

  it.each(
    everywhere<[string, Answering, Partial<OAuthFlowError>]>([
      ['an outage', { status: 503 }, { code: 'OAUTH_TEMPORARY', retryable: true, status: 503 }],
      ['a broken connection', 'reset', { code: 'OAUTH_TEMPORARY', retryable: true }],
      ['a body that is cut', 'truncate', { code: 'OAUTH_TEMPORARY', retryable: true }],
      ['a body without end', 'drip', { code: 'OAUTH_TIMEOUT', retryable: true }],
      ['silence', 'hang', { code: 'OAUTH_TIMEOUT', retryable: true }],
      ['a bomb', bomb(), { code: 'OAUTH_RESPONSE_TOO_LARGE', retryable: false }],
      [
        'a token of 1 MB',
        { body: { ...good, access_token: 'a'.repeat(1_000_000) } },
        { code: 'OAUTH_RESPONSE_TOO_LARGE' },
      ],
    ]),
  )(
    'of %s that is %s is typed, and nothing is lost [refresh.transient-keeps-session] [TK-10 TK-33 TK-36 TK-38 TK-39 TK-40 TK-41]',
    async (stage, _what, answer, expected) => {
      expect(await refusedAt(stage, answer, { requestTimeout: 150 })).toMatchObject(expected)
    },
  )

  it.each(everywhere([[302], [307], [308]]))(
    'of %s that is a %d to another host reaches nobody there [call.no-redirects] [TK-34 TK-35]',
    async (stage, status) => {
      const error = await refusedAt(stage, { status, headers: { Location: `${world.origin.evil}/token` } })
      expect(error).toMatchObject({ code: 'OAUTH_REDIRECT_REFUSED', retryable: false })
      expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
    },
  )

  it.each(stageNames)('of %s that is nobody at the port is temporary [TK-47]', async (stage) => {
    const nobody = await closedPort()
    const moved = world.answer('as-metadata', withMembers({ token_endpoint: `${nobody}/token` }))
    if (stage === 'a refresh') {
      // The first sign-in goes to where somebody listens, the refresh to where nobody does any more.
      const answered = createServer((_request, response) =>
        response
          .setHeader('Content-Type', 'application/json')
          .end(JSON.stringify({ ...good, refresh_token: 'r-token' })),
      )
      await new Promise<void>((resolve) => answered.listen(Number(new URL(nobody).port), '127.0.0.1', resolve))
      trustingApi()
      const { api } = await signedIn(world, { random: steadyRandom })
      await new Promise((resolve) => {
        answered.close(resolve)
        answered.closeAllConnections()
      })
      world.clock.advance(3_600_000)
      expect(await rejectionOf(api.get('/x'))).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    } else {
      expect(await rejectionOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    }
    moved()
  })

  it.each<[string, string, number | undefined]>([
    ['seconds', '3600', 3_600_000],
    ['an age', '1000000000000', 86_400_000],
    ['a date', 'Thu, 15 Jan 2026 13:00:00 GMT', 3_600_000],
    ['less than nothing', '-5', undefined],
    ['a word', 'soon', undefined],
  ])('429 with %s as Retry-After is told and not slept through [TK-31]', async (_what, value, expected) => {
    const answer = { status: 429, headers: { 'Retry-After': value } }
    const first = await refusedAt('the code exchange', answer)
    expect(first).toMatchObject({ code: 'OAUTH_TEMPORARY', retryable: true })
    expect(first.retryAfter).toBe(expected)
  })
})

describe('client authentication', () => {
  const methods = ['none', 'client_secret_basic', 'client_secret_post'] as const

  /** How a request says who the client is. */
  function proofOf({ headers, form }: Entry): string {
    const names = [...(form?.keys() ?? [])].filter((name) => name.startsWith('client_'))
    return [headers.authorization?.split(' ')[0], ...names].join(' ').trim()
  }
  const proofs = { none: 'client_id', client_secret_basic: 'Basic', client_secret_post: 'client_id client_secret' }

  it.each(methods)(
    'by %s is the same one proof for code, refresh and revocation [client-auth.one-method] [client-auth.everywhere] [client-auth.post-none]',
    async (method) => {
      const { api, provider } = world.connect({
        clientInformation: world.addClient({ token_endpoint_auth_method: method }),
      })
      await api.get('')
      world.expireTokens()
      await api.get('')
      await provider.signOut()
      const requests = [...world.requests('token'), ...world.requests('revoke')]
      expect(requests.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect(requests.map(proofOf)).toEqual(Array(4).fill(proofs[method]))
    },
  )

  it.each(methods)(
    'by %s of a dynamic registration is the registered one, listed or not [client-auth.registered-wins]',
    async (method) => {
      world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'] }))
      const client = world.addClient({ token_endpoint_auth_method: method })
      world.answer('register', { status: 201, body: { ...client, client_secret_expires_at: 0 } })
      await world.connect().api.get('')
      expect(world.requests('token').map(proofOf)).toEqual([proofs[method]])
    },
  )

  it('that the registration names and nobody here can do ends before anything is sent [client-auth.registered-wins]', async () => {
    const client = world.addClient({ token_endpoint_auth_method: 'client_secret_jwt' })
    world.answer('register', { status: 201, body: client })
    expect(await rejectionOf(world.connect().api.get(''))).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED' })
    expect(world.count('token')).toBe(0)
  })

  it.each<[readonly string[] | undefined, string]>([
    [['client_secret_post', 'client_secret_basic', 'none'], 'client_secret_basic'],
    [['none', 'client_secret_post'], 'client_secret_post'],
    [['private_key_jwt', 'none'], 'none'],
    [undefined, 'client_secret_basic'],
  ])(
    'of a client with a secret at a server that lists %j is %s [client-auth.from-metadata]',
    async (listed, method) => {
      world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: listed }))
      const { client_id, client_secret, redirect_uris } = world.addClient({
        token_endpoint_auth_method: 'client_secret_basic',
      })
      trustingApi()
      world.answer('token', { body: good })
      await world
        .connect({ clientInformation: { client_id, client_secret: client_secret ?? '', redirect_uris } })
        .api.get('')
      expect(world.requests('token').map(proofOf)).toEqual([proofs[method as keyof typeof proofs]])
    },
  )

  it.each<[string, Partial<Client>, readonly string[]]>([
    ['with a secret', {}, ['private_key_jwt', 'tls_client_auth']],
    ['without a secret', { token_endpoint_auth_method: 'none' }, ['client_secret_basic']],
  ])(
    'of a client %s at a server that lists only what it cannot do ends before anything is sent [client-auth.from-metadata]',
    async (_which, client, listed) => {
      world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: listed }))
      const { token_endpoint_auth_method: _, ...clientInformation } = world.addClient(client)
      const error = (await rejectionOf(world.connect({ clientInformation }).api.get(''))) as OAuthFlowError
      expect(error).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED' })
      expect(world.leaksIn(error)).toEqual([])
      expect(world.count('token')).toBe(0)
    },
  )

  it('of a client without a secret is `none` where the server lists nothing [client-auth.from-metadata]', async () => {
    world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: undefined }))
    const { token_endpoint_auth_method: _, ...clientInformation } = world.addClient({
      token_endpoint_auth_method: 'none',
    })
    await world.connect({ clientInformation }).api.get('')
    expect(world.requests('token').map(proofOf)).toEqual(['client_id'])
  })

  it('by Basic survives any characters in id and secret [client-auth.basic]', async () => {
    const clientInformation = world.addClient({ client_id: 'ïd: 50%+é', client_secret: 'p:ä%ss wörd+&=' })
    await expect(world.connect({ clientInformation }).api.get('')).resolves.toMatchObject({ status: 200 })
    const [, encoded = ''] = world.requests('token')[0]?.headers.authorization?.split(' ') ?? []
    expect(Buffer.from(encoded, 'base64').toString()).toBe(
      '%C3%AFd%3A+50%25%2B%C3%A9:p%3A%C3%A4%25ss+w%C3%B6rd%2B%26%3D',
    )
  })

  it('takes an empty secret for none [client-auth.post-none]', async () => {
    const client = world.addClient({ token_endpoint_auth_method: 'none' })
    world.answer('register', { status: 201, body: { ...client, client_secret: '' } })
    await world.connect().api.get('')
    expect(world.requests('token')[0]?.form?.has('client_secret')).toBe(false)
    expect(world.requests('token').map(proofOf)).toEqual(['client_id'])
  })

  it.each(stageNames)(
    'that fails at %s is not tried in another way [client-auth.no-probing] [TK-29]',
    async (stage) => {
      const clientInformation = world.addClient({ token_endpoint_auth_method: 'client_secret_basic' })
      const { api } = await stages[stage]!({ clientInformation })
      world.forget()
      world.answer('token', {
        status: 401,
        headers: { 'WWW-Authenticate': 'Basic' },
        body: { error: 'invalid_client' },
      })
      const error = (await rejectionOf(api.get(''))) as OAuthFlowError
      expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_client' })
      expect(`${error.message} ${error.hint}`).toContain('clientInformation')
      expect(world.requests('token').map(proofOf)).toEqual(['Basic'])
      expect(world.count('register')).toBe(0)
      expect(mainSteps(world).filter((step) => step.startsWith('authorize')).length).toBe(stage === 'a refresh' ? 0 : 1)
    },
  )
})

/** Compressed it is small. */
function bomb(): Answering {
  const body = gzipSync(Buffer.alloc(20_000_000, ' '))
  return { headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }, body }
}

/** An origin at which nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

import { createHash } from 'node:crypto'
import { startWorld, type World } from './world'

// Positive controls: that the honest servers of the world check what a client could get wrong.

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

const verifier = 'v'.repeat(43)
const challenge = createHash('sha256').update(verifier).digest('base64url')

interface Posted {
  readonly status: number
  readonly refresh_token?: string
}

async function post(
  endpoint: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Posted> {
  const body = new URLSearchParams(form)
  const response = await fetch(`${world.issuer}/${endpoint}`, { method: 'POST', body, headers })
  const text = await response.text()
  return { ...(text === '' ? {} : (JSON.parse(text) as object)), status: response.status }
}

/** The query that the person brings back, for a public client, and the form that redeems its code. */
async function visit(extra: Record<string, string>): Promise<{ query: URLSearchParams; form: Record<string, string> }> {
  const { client_id } = world.addClient({ token_endpoint_auth_method: 'none' })
  const { redirectUri: redirect_uri } = world
  const parameters = { response_type: 'code', client_id, redirect_uri, state: 'a-state-of-a-spec' }
  const pkce = { code_challenge: challenge, code_challenge_method: 'S256' }
  const wanted = new URLSearchParams({ ...parameters, ...pkce, ...extra })
  const { searchParams: query } = new URL(await world.user.visit(`${world.issuer}/authorize?${wanted.toString()}`))
  const code = query.get('code') ?? ''
  const form = { grant_type: 'authorization_code', client_id, redirect_uri, code, code_verifier: verifier }
  return { query, form }
}

async function authorize(extra: Record<string, string> = {}): Promise<Record<string, string>> {
  return (await visit(extra)).form
}

describe('the honest authorization server', () => {
  it('redeems a code once; the second attempt takes the tokens with it', async () => {
    const form = await authorize()
    expect(await post('token', form)).toMatchObject({ status: 200, token_type: 'Bearer' })
    expect(world.liveAccessToken()).toMatch(/^access-/)
    expect(await post('token', form)).toMatchObject({ status: 400, error: 'invalid_grant' })
    expect(() => world.liveAccessToken()).toThrow()
  })

  it.each([
    ['another verifier', { code_verifier: 'w'.repeat(43) }, 'invalid_grant'],
    ['another redirect URI', { redirect_uri: 'http://127.0.0.1:1/callback' }, 'invalid_grant'],
    ['another client', { client_id: 'stranger' }, 'invalid_client'],
    ['another resource', { resource: 'https://other.example/' }, 'invalid_target'],
    ['a secret of a public client', { client_secret: 'surprise' }, 'invalid_client'],
    ['another grant', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('refuses a code with %s', async (_name, change, error) => {
    const form = await authorize()
    expect(await post('token', { ...form, ...change })).toMatchObject({ error })
  })

  it.each([
    ['without PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['for tokens', { response_type: 'token' }, 'unsupported_response_type'],
  ])('refuses an authorization %s', async (_name, change, error) => {
    const { query } = await visit(change)
    expect(Object.fromEntries(query)).toMatchObject({ error, state: 'a-state-of-a-spec', iss: world.issuer })
    expect(query.has('code')).toBe(false)
  })

  it('does not redirect to an address it does not know', async () => {
    await expect(authorize({ redirect_uri: world.origin.evil })).rejects.toThrow('400 unregistered redirect_uri')
  })

  it('rotates refresh tokens, and ends the session when one is used twice', async () => {
    const form = await authorize()
    const { refresh_token: first = '' } = await post('token', form)
    const renew = { grant_type: 'refresh_token', client_id: form.client_id ?? '' }
    const { refresh_token: second = '' } = await post('token', { ...renew, refresh_token: first })
    expect(second).not.toBe(first)
    expect(await post('token', { ...renew, refresh_token: first })).toMatchObject({ error: 'invalid_grant' })
    expect(await post('token', { ...renew, refresh_token: second })).toMatchObject({ error: 'invalid_grant' })
    expect(world.reuseDetections).toBe(1)
    expect(() => world.liveAccessToken()).toThrow()
  })

  it('revokes a session with its refresh token', async () => {
    const form = await authorize()
    const { refresh_token: token = '' } = await post('token', form)
    expect(await post('revoke', { token, client_id: form.client_id ?? '' })).toEqual({ status: 200 })
    expect(() => world.liveAccessToken()).toThrow()
  })

  it('asks for the registered way to authenticate', async () => {
    const { client_id, client_secret = '' } = world.addClient()
    const basic = { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` }
    const form = { grant_type: 'client_credentials' }
    expect(await post('token', form, basic)).toMatchObject({ status: 200 })
    expect(await post('token', { ...form, client_id, client_secret })).toMatchObject({ status: 401 })
    expect(await post('token', { ...form, client_secret }, basic)).toMatchObject({ error: 'invalid_request' })
    world.forgetClients()
    expect(await post('token', form, basic)).toMatchObject({ status: 401, error: 'invalid_client' })
  })
})

describe('the honest API', () => {
  const call = (path: string): Promise<Response> =>
    fetch(world.serverUrl + path, {
      redirect: 'manual',
      headers: { authorization: `Bearer ${world.liveAccessToken()}` },
    })

  it('asks for scope, redirects, and streams without end', async () => {
    await post('token', await authorize({ scope: 'read' }))
    const refused = await call('/needs?scope=write')
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      403,
      expect.stringMatching(/^Bearer error="insufficient_scope", scope="write", resource_metadata="http/),
    ])
    expect((await call('/needs?scope=read')).status).toBe(200)
    const redirect = await call('/redirect?to=/elsewhere&status=307')
    expect([redirect.status, redirect.headers.get('location')]).toEqual([307, '/elsewhere'])
    const stream = (await call('/stream')).body?.getReader()
    expect(Buffer.from((await stream?.read())?.value ?? []).toString()).toBe('data: 1\n\n')
    const end = stream?.read().catch(() => 'destroyed')
    await world.stop()
    expect(await end).toBe('destroyed')
  })

  it('refuses a token for somebody else', async () => {
    await post('token', await authorize({ resource: 'https://other.example/' }))
    const response = await call('')
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ])
  })
})

describe('evil', () => {
  it('answers plausibly and is recorded', async () => {
    const { evil } = world.origin
    const prm = (await (await fetch(`${evil}/.well-known/oauth-protected-resource/mcp`)).json()) as object
    expect(prm).toEqual({ resource: `${evil}/mcp`, authorization_servers: [evil] })
    const { api } = world.connect({ serverUrl: `${evil}/mcp` }, { baseURL: `${evil}/mcp` })
    world.answer('api', { status: 401 }, { times: 1 })
    await api.post('', { told: 'something' })
    expect(world.journal.every(({ server }) => server === 'evil')).toBe(true)
    expect(world.steps().slice(1)).toEqual([
      'api 401',
      'prm 200',
      'as-metadata 200',
      'register 201',
      'authorize 302',
      'token 200',
      'api 200',
    ])
    expect(world.requests('api')[1]).toMatchObject({ json: { told: 'something' } })
  })
})

describe('world.leaksIn()', () => {
  it('knows every secret that was issued or seen', async () => {
    await world.connect().api.get('')
    const kinds = world.secrets().map((secret) => /^(access|refresh|code)-/.exec(secret)?.[1] ?? 'other')
    // State and verifier are the client's own.
    expect(kinds.sort()).toEqual(['access', 'code', 'other', 'other', 'refresh'])
    // What a server answered is not in the journal.
    expect(world.leaksIn(world.journal)).toEqual(world.secrets().filter((secret) => !secret.startsWith('refresh-')))
    expect(world.leaksIn({ text: 'nothing here', steps: world.order() })).toEqual([])
  })

  it.each<[string, (secret: string) => unknown]>([
    ['a message', (secret) => new Error(`with ${secret}`)],
    ['a cause', (secret) => new Error('a', { cause: new Error('b', { cause: { deep: [secret] } }) })],
    ['an aggregate', (secret) => new AggregateError([new Error(secret)])],
    ['a hidden member', (secret) => Object.defineProperty({}, 'hidden', { value: secret })],
    ['Basic', (secret) => ({ authorization: `Basic ${Buffer.from(`id:${secret}`).toString('base64')}` })],
    ['bytes', (secret) => ({ body: Buffer.from(secret) })],
    ['a map', (secret) => new Map([[{ a: 1 }, new Set([secret])]])],
    ['JSON', (secret) => ({ toJSON: () => secret })],
  ])('finds a secret in %s', (_name, hide) => {
    const { client_secret = '' } = world.addClient()
    expect(world.leaksIn(hide(client_secret))).toEqual([client_secret])
  })
})

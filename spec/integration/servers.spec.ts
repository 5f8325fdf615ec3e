import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import * as oauth from 'oauth4webapi'
import { startServer, startStack, UserAgent, type Stack } from '../support/servers/start'
import {
  call,
  clientCredentials,
  discover,
  refresh,
  register,
  revoke,
  signIn,
  type HandClient,
} from '../support/servers/hand-client'

// Positive controls: that the servers other specs rely on are real, strict, and honest about what they saw.

jest.setTimeout(30_000)

const allOf = { api: 'notes:read notes:write notes:admin', mcp: 'mcp:tools' }

describe('startStack()', () => {
  let stack: Stack
  let hand: HandClient
  let api: string

  beforeAll(async () => {
    stack = await startStack()
    api = stack.api.urls.api
    hand = await register(stack.authorizationServer.urls.issuer)
  })
  afterAll(() => stack.stop())
  beforeEach(() => stack.authorizationServer.control.reset())

  it('challenges an anonymous call without an error code, and points to the metadata', async () => {
    const response = await fetch(`${api}/notes`)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer scope="notes:read notes:write", resource_metadata="${stack.api.urls.metadata}"`,
    )
    const metadata = (await (await fetch(stack.api.urls.metadata)).json()) as Record<string, unknown>
    expect((await stack.api.control.journal())[0]).toMatchObject({
      path: '/api/notes',
      status: 401,
      challenge: expect.stringMatching(/^Bearer scope/),
    })
    expect(metadata).toMatchObject({ resource: api, authorization_servers: [stack.authorizationServer.urls.issuer] })
  })

  it('accepts the token of a hand-driven code flow', async () => {
    const tokens = await signIn(hand, { resource: api, scope: 'notes:read' })
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'notes:read', refresh_token: expect.any(String) })
    const response = await call(`${api}/notes`, tokens.access_token)
    expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ owner: 'alice' })])
  })

  it('echoes a body with its hash', async () => {
    const { access_token } = await signIn(hand, { resource: api, scope: allOf.api })
    const body = Buffer.from([0, 1, 2, 255])
    const response = await fetch(`${api}/notes`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/octet-stream' },
    })
    expect(await response.json()).toMatchObject({
      contentType: 'application/octet-stream',
      length: 4,
      sha256: createHash('sha256').update(body).digest('hex'),
    })
  })

  it('refuses a token for another audience', async () => {
    const { access_token } = await signIn(hand, { resource: stack.mcp.urls.resource, scope: allOf.mcp })
    const response = await call(`${api}/notes`, access_token)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token", error_description="the aud of')
  })

  it('refuses a resource that differs by a trailing slash', async () => {
    await expect(signIn(hand, { resource: `${api}/` })).rejects.toMatchObject({ error: 'invalid_target' })
  })

  it('asks for the scope that is missing', async () => {
    const { access_token } = await signIn(hand, { resource: api, scope: 'notes:read' })
    const response = await call(`${api}/admin`, access_token)
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toMatch(/error="insufficient_scope".*scope="notes:admin"/)
  })

  it('refuses an expired token', async () => {
    const { control } = stack.authorizationServer
    await control.post('/settings', { accessTokenTtl: 1 })
    const { access_token, expires_in } = await signIn(hand, { resource: api, scope: 'notes:read' })
    await control.post('/settings', { accessTokenTtl: 300 })
    expect(expires_in).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const response = await call(`${api}/notes`, access_token)
    expect(response.headers.get('www-authenticate')).toContain('the token has expired')
  })

  it('refuses, on demand, tokens it has seen', async () => {
    const { access_token } = await signIn(hand, { resource: api, scope: 'notes:read' })
    expect((await call(`${api}/notes`, access_token)).status).toBe(200)
    await stack.api.control.post('/reject-seen')
    expect((await call(`${api}/notes`, access_token)).status).toBe(401)
    const fresh = await signIn(hand, { resource: api, scope: 'notes:read' })
    expect((await call(`${api}/notes`, fresh.access_token)).status).toBe(200)
  })

  it('rotates refresh tokens, and ends the whole grant when one is used twice', async () => {
    const { refresh_token: first = '' } = await signIn(hand, { resource: api, scope: 'notes:read' })
    const renewed = await refresh(hand, first)
    const { refresh_token: second } = (await renewed.json()) as { refresh_token: string }
    expect(second).not.toBe(first)
    expect((await refresh(hand, first)).status).toBe(400)
    expect((await refresh(hand, second)).status).toBe(400)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      tokenRequests: { authorization_code: 1, refresh_token: 3 },
      tokensIssued: { authorization_code: 1, refresh_token: 1 },
      reuseDetected: 1,
    })
  })

  it('revokes a grant with its refresh token', async () => {
    const { refresh_token = '' } = await signIn(hand, { resource: api, scope: 'notes:read' })
    expect((await revoke(hand, refresh_token)).status).toBe(200)
    expect((await refresh(hand, refresh_token)).status).toBe(400)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      revocationRequests: 1,
      reuseDetected: 0,
    })
  })

  it('lets the person say no, or grant less', async () => {
    await expect(signIn(hand, { resource: api, loginHint: 'deny' })).rejects.toMatchObject({ error: 'access_denied' })
    const less = await signIn(hand, { resource: api, scope: allOf.api, loginHint: 'grant:notes:read' })
    expect(less.scope).toBe('notes:read')
    const bob = await signIn(hand, { resource: api, scope: allOf.api, loginHint: 'account:bob' })
    expect(await (await call(`${api}/whoami`, bob.access_token)).json()).toMatchObject({ sub: 'bob' })
    await stack.authorizationServer.control.post('/decision', { error: 'access_denied' })
    await expect(signIn(hand, { resource: api })).rejects.toMatchObject({ error: 'access_denied' })
    await stack.authorizationServer.control.post('/decision', {})
  })

  it('keeps a journal of names and public values, without any secret', async () => {
    await stack.api.control.reset()
    const tokens = await signIn(hand, { resource: api, scope: 'notes:read' })
    await call(`${api}/notes`, tokens.access_token)
    const journal = await stack.authorizationServer.control.journal()
    expect(journal.at(-1)).toMatchObject({
      method: 'POST',
      path: '/token',
      status: 200,
      form: expect.arrayContaining(['code', 'code_verifier', 'resource']),
      values: { grant_type: 'authorization_code', resource: api },
      issued: { scope: 'notes:read', refresh: true },
    })
    const [seen] = await stack.api.control.journal()
    expect(seen).toMatchObject({
      path: '/api/notes',
      authorization: 'Bearer',
      token: expect.stringMatching(/^[0-9a-f]{12}$/),
    })
    const everything = JSON.stringify([journal, seen])
    for (const secret of [tokens.access_token, tokens.refresh_token]) expect(everything).not.toContain(secret)
  })

  it('holds an answer until released, and loses one after the server has acted', async () => {
    const { control } = stack.authorizationServer
    const { refresh_token: first = '' } = await signIn(hand, { resource: api, scope: 'notes:read' })
    await control.fault({ path: '/token', kind: 'hold' })
    const renewal = refresh(hand, first)
    await control.held('/token')
    expect((await control.counters()).tokensIssued).toEqual({ authorization_code: 1 })
    await control.release('/token')
    const { refresh_token: second } = (await (await renewal).json()) as { refresh_token: string }

    await control.fault({ path: '/token', kind: 'drop-response' })
    await expect(refresh(hand, second)).rejects.toThrow()
    expect((await control.journal()).at(-1)).toMatchObject({ path: '/token', status: 200, lost: 'answer' })
    expect((await refresh(hand, second)).status).toBe(400)
    expect((await control.counters()).reuseDetected).toBe(1)
  })

  it('shows a stream in the journal while it is open', async () => {
    await stack.api.control.reset()
    const { access_token } = await signIn(hand, { resource: api, scope: 'notes:read' })
    const response = await call(`${api}/slow?endless=1`, access_token)
    expect(await stack.api.control.journal()).toMatchObject([{ path: '/api/slow', open: true }])
    await stack.api.control.post('/finish-streams')
    expect(await response.text()).toMatch(/^chunk\n/)
  })

  it('serves tools to a token with the right scope, and asks for more where a tool needs it', async () => {
    const { mcp } = stack.mcp.urls
    expect((await fetch(mcp, { method: 'POST' })).headers.get('www-authenticate')).toContain('scope="mcp:tools"')
    const { access_token } = await signIn(hand, { resource: mcp, scope: 'mcp:tools' })
    const session = await openMcpSession(mcp, access_token)
    expect(await session('tools/call', { name: 'echo', arguments: { text: 'hi' } })).toMatchObject({
      status: 200,
      text: expect.stringContaining('hi'),
    })
    expect(await session('tools/call', { name: 'admin_report', arguments: {} })).toMatchObject({
      status: 403,
      challenge: expect.stringMatching(/insufficient_scope.*scope="mcp:admin"/),
    })
    expect((await stack.mcp.control.journal()).at(-1)).toMatchObject({
      rpc: 'tools/call',
      tool: 'admin_report',
      status: 403,
    })
  })

  it('approves a device', async () => {
    const { server, client } = await register(stack.authorizationServer.urls.issuer, {
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    })
    const insecure = { [oauth.allowInsecureRequests]: true }
    const started = await oauth.deviceAuthorizationRequest(
      server,
      client,
      oauth.None(),
      { resource: api, scope: 'notes:read' },
      insecure,
    )
    const device = await oauth.processDeviceAuthorizationResponse(server, client, started)
    expect(device.interval).toBe(1)
    const poll = () => oauth.deviceCodeGrantRequest(server, client, oauth.None(), device.device_code, insecure)
    expect(await (await poll()).json()).toMatchObject({ error: 'authorization_pending' })
    expect(await new UserAgent().approveDevice(device.verification_uri_complete ?? '')).toMatchObject({ status: 200 })
    const tokens = await oauth.processDeviceCodeResponse(server, client, await poll())
    expect((await call(`${api}/notes`, tokens.access_token)).status).toBe(200)
  })
})

describe("startServer('oidc-provider')", () => {
  it('serves an issuer with a path at the specified places only', async () => {
    const server = await startServer('oidc-provider', { issuerPath: '/tenant/a' })
    const { issuer } = server.urls
    const { origin } = new URL(issuer)
    expect((await discover(issuer)).token_endpoint).toBe(`${issuer}/token`)
    expect((await fetch(`${origin}/.well-known/oauth-authorization-server`)).status).toBe(404)
    const hand = await register(issuer)
    const tokens = await signIn(hand, { resource: 'http://127.0.0.1/any', scope: 'notes:read' })
    expect(tokens.scope).toBe('notes:read')
    await server.stop()
  })

  it('authenticates static clients with a secret or a signed assertion', async () => {
    const { privateKey, publicKey } = await oauth.generateKeyPair('ES256', { extractable: true })
    const grant_types = ['client_credentials']
    const common = { grant_types, response_types: [], redirect_uris: [] }
    const server = await startServer('oidc-provider', {
      clients: [
        {
          ...common,
          client_id: 'basic',
          client_secret: 's:e+c r&t%',
          token_endpoint_auth_method: 'client_secret_basic',
        },
        { ...common, client_id: 'post', client_secret: 'secret', token_endpoint_auth_method: 'client_secret_post' },
        {
          ...common,
          client_id: 'jwt',
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys: [await crypto.subtle.exportKey('jwk', publicKey)] },
        },
      ],
    })
    const metadata = await discover(server.urls.issuer)
    const authentications = {
      basic: oauth.ClientSecretBasic('s:e+c r&t%'),
      post: oauth.ClientSecretPost('secret'),
      jwt: oauth.PrivateKeyJwt(privateKey),
    }
    for (const [client_id, authentication] of Object.entries(authentications)) {
      const tokens = await clientCredentials(
        { server: metadata, client: { client_id }, authentication },
        { resource: 'http://127.0.0.1/any', scope: 'notes:read' },
      )
      expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'notes:read' })
    }
    await server.stop()
  })

  it('knows a client by its metadata document', async () => {
    const server = await startServer('oidc-provider')
    const client_id = 'https://client.example/oauth/client.json'
    await server.control.post('/documents', {
      url: client_id,
      document: {
        client_id,
        client_name: 'Documented',
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      },
    })
    const hand = { server: await discover(server.urls.issuer), client: { client_id }, authentication: oauth.None() }
    expect(hand.server.client_id_metadata_document_supported).toBe(true)
    expect(await signIn(hand, { resource: 'http://127.0.0.1/any', scope: 'notes:read' })).toHaveProperty(
      'refresh_token',
    )
    await server.stop()
  })

  it('takes pushed requests, where told only these', async () => {
    const server = await startServer('oidc-provider', { par: 'required' })
    const hand = await register(server.urls.issuer)
    await expect(signIn(hand, { resource: 'http://127.0.0.1/any' })).rejects.toThrow()
    expect(await signIn(hand, { resource: 'http://127.0.0.1/any', scope: 'notes:read', pushed: true })).toHaveProperty(
      'access_token',
    )
    await server.stop()
  })

  it('shows forms to a person, who may refuse', async () => {
    const server = await startServer('oidc-provider', { interaction: 'forms' })
    const hand = await register(server.urls.issuer)
    const person = new UserAgent()
    expect(await signIn(hand, { resource: 'http://127.0.0.1/any', scope: 'notes:read', person })).toHaveProperty(
      'access_token',
    )
    expect((await server.control.journal()).filter((entry) => entry.path.startsWith('/interaction/'))).toHaveLength(4)
    await server.stop()
  })

  it('guards the registration with an initial access token, where told', async () => {
    const server = await startServer('oidc-provider', {
      initialAccessToken: 'let-me-in',
      refreshTokens: 'offline_access',
    })
    await expect(register(server.urls.issuer)).rejects.toThrow()
    expect((await server.control.counters()).registrations).toBe(0)
    await server.stop()
  })
})

describe('DPoP', () => {
  it('is demanded by both servers, with nonces of their own', async () => {
    const stack = await startStack({
      authorizationServer: { dpopNonce: true },
      api: { dpop: 'required', dpopNonce: true },
      mcp: false,
    })
    const { api } = stack.api.urls
    const plain = await register(stack.authorizationServer.urls.issuer)
    const hand = { ...plain, dpop: oauth.DPoP(plain.client, await oauth.generateKeyPair('ES256')) }
    const tokens = await signIn(hand, { resource: api, scope: 'notes:read' })
    expect(tokens.token_type).toBe('dpop')
    expect((await call(`${api}/notes`, tokens.access_token, hand)).status).toBe(200)
    expect((await call(`${api}/notes`, tokens.access_token)).status).toBe(401)
    expect((await stack.api.control.journal()).map(({ status, authorization }) => [status, authorization])).toEqual([
      [401, 'DPoP'],
      [200, 'DPoP'],
      [401, 'Bearer'],
    ])
    await stack.stop()
  })
})

describe("startServer('mcp-sdk-auth-server')", () => {
  it('is its own authorization server', async () => {
    const server = await startServer('mcp-sdk-auth-server')
    const { mcp, issuer } = server.urls
    expect(issuer).toBe(`${server.urls.origin}/`)
    const hand = await register(issuer)
    const tokens = await signIn(hand, { resource: mcp, scope: 'mcp:tools' })
    const session = await openMcpSession(mcp, tokens.access_token)
    expect((await session('tools/list', {})).text).toContain('admin_report')
    const first = tokens.refresh_token ?? ''
    expect((await refresh(hand, first)).status).toBe(200)
    expect((await refresh(hand, first)).status).toBe(400)
    expect(await server.control.counters()).toMatchObject({ tokensIssued: { refresh_token: 1 }, reuseDetected: 1 })
    await server.stop()
  })

  it('imitates a server of 2025-03-26, with or without metadata', async () => {
    const server = await startServer('mcp-sdk-auth-server', { revision: '2025-03-26-bare' })
    const { origin, mcp } = server.urls
    for (const name of ['oauth-protected-resource', 'oauth-protected-resource/mcp', 'oauth-authorization-server']) {
      expect((await fetch(`${origin}/.well-known/${name}`)).status).toBe(404)
    }
    const challenge = (await fetch(mcp, { method: 'POST' })).headers.get('www-authenticate')
    expect(challenge).toContain('error="invalid_token"')
    expect(challenge).not.toContain('resource_metadata')
    await server.stop()
    const documented = await startServer('mcp-sdk-auth-server', { revision: '2025-03-26' })
    expect((await fetch(`${documented.urls.origin}/.well-known/oauth-authorization-server`)).status).toBe(200)
    await documented.stop()
  })
})

describe('a child process', () => {
  it('starts in time and ends with the process that started it, however that ends', async () => {
    const began = performance.now()
    const launcher = join(__dirname, '../support/servers/launch.mjs')
    const script = `import(${JSON.stringify(launcher)}).then(async ({ startServer }) => {
      const { pid } = await startServer('oidc-provider')
      console.log(pid)
    })`
    const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    expect(performance.now() - began).toBeLessThan(15_000)
    expect(isAlive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await waitUntil(() => !isAlive(pid))
  })

  it('refuses a flag it does not know', async () => {
    await expect(startServer('oidc-provider', { acessTokenTtl: 1 })).rejects.toThrow('unknown flags: acessTokenTtl')
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function waitUntil(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 200) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

async function openMcpSession(mcp: string, token: string) {
  const post = (message: object, headers: Record<string, string> = {}) =>
    fetch(mcp, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
    })
  const clientInfo = { name: 'hand', version: '1' }
  const opened = await post({
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo },
  })
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
  await opened.text()
  await post({ method: 'notifications/initialized' }, session)
  return async (method: string, params: object) => {
    const response = await post({ id: 1, method, params }, session)
    return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() }
  }
}

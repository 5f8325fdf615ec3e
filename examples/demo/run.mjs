/**
 * The main job on real servers: `npm run demo`. Nothing to configure, nothing leaves this machine.
 *
 * An authorization server (oidc-provider), a protected JSON API and an MCP server (the official SDK's) start on loopback;
 * then an application does with `axios-oauth2` what users do. Every line is verified against the journals of the servers:
 * the exit code is 0 only if all of it happened as told. `--browser`: you sign in, in your own browser.
 */
import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import axios from 'axios'
import { isOAuthFlowError, oauth, toFetch } from 'axios-oauth2'
import { loopbackReceiver } from 'axios-oauth2/node'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { startStack } from '../../spec/support/servers/launch.mjs'
import { UserAgent } from '../../spec/support/servers/user-agent.mjs'
import { createNarrator } from './narrator.mjs'
import { describe, span, Timeline } from './timeline.mjs'

const shortLifetime = 3 // seconds
const longLifetime = 300 // seconds
const concurrentCalls = 20

const { browser } = readArguments()
const narrator = createNarrator(process.stdout)
let step = 'start'
let stack

try {
  stack = await start()
  const story = tell(stack)
  await story.signInAndCall()
  await story.useMcpServer()
  await story.callAcrossExpiry()
  await story.stepUp()
  await story.signOut()
  narrator.say('\nEvery step was verified against the journals of the servers.')
} catch (error) {
  narrator.failed(step, explain(error))
  process.exitCode = 1
} finally {
  await stack?.stop()
}

function readArguments() {
  try {
    const { values } = parseArgs({ options: { browser: { type: 'boolean' }, help: { type: 'boolean' } } })
    if (!values.help) return values
  } catch (error) {
    console.error(error.message)
    process.exitCode = 2
  }
  console.error('usage: npm run demo [-- --browser]   --browser: sign in yourself, in your own browser')
  process.exit()
}

async function start() {
  step = 'start'
  narrator.say('axios-oauth2: sign-in, renewal, step-up and sign-out against real servers on 127.0.0.1\n')
  const began = performance.now()
  const started = await narrator.during('starting three servers', () =>
    startStack({
      authorizationServer: { accessTokenTtl: shortLifetime, interaction: browser ? 'forms' : 'auto' },
    }),
  )
  const { authorizationServer, api, mcp } = started
  const where = `AS ${authorizationServer.urls.issuer} · API ${api.urls.api} · MCP ${mcp.urls.mcp}`
  narrator.done('start', where, performance.now() - began)
  return started
}

/** The application: two axios instances, one person, and the steps of the story. */
function tell({ authorizationServer, api: apiServer, mcp: mcpServer }) {
  const authorization = authorizationServer.control
  const timeline = new Timeline({ API: apiServer.control, AS: authorization, MCP: mcpServer.control })
  const scripted = loopbackReceiver({
    openBrowser: async (url) => void (await new UserAgent().signIn(url)),
    output: new Writable({ write: (_chunk, _encoding, done) => done() }),
    input: Readable.from([]),
  })
  const apiMetadata = { server: 'API', path: '/.well-known/oauth-protected-resource/api' }
  let person = browser ? loopbackReceiver() : scripted
  const options = {
    clientMetadata: { client_name: 'axios-oauth2 demo' },
    receiver: { open: (o) => person.open(o) },
  }

  // This is all an application writes.
  const api = axios.create({ baseURL: apiServer.urls.api })
  const notes = oauth(api, options)
  const mcp = axios.create({ baseURL: mcpServer.urls.mcp })
  const tools = oauth(mcp, options)

  for (const provider of [notes, tools]) {
    provider.on('discovered', () => narrator.update('registering'))
    provider.on('registered', () => narrator.update('signing in'))
    provider.on('authorizationRequired', () =>
      narrator.update(browser ? 'waiting for you in the browser' : 'signing in'),
    )
    provider.on('authorized', () => narrator.update('sending the request again'))
  }

  async function signInAndCall() {
    step = 'first call'
    const response = await narrator.during('discovering', () => api.get('/notes'))
    assert.equal(response.status, 200)
    assert.equal(response.data.notes.length, 1)
    await timeline.read()
    const first = { server: 'API', method: 'GET', path: '/api/notes' }
    const [refused] = timeline.take({ ...first, status: 401, authorization: undefined })
    narrator.done('first call', `${describe(refused)}, ${schemeOf(refused)} challenge`, span([refused]))
    takeSignIn({ metadata: apiMetadata, resource: apiServer.urls.resource })
    step = 'call succeeds'
    const [accepted] = timeline.take({ ...first, status: 200, authorization: 'Bearer' })
    timeline.assertEmpty()
    narrator.done(
      'call succeeds',
      `${describe(accepted)}, ${accepted.authorization} token of ${response.data.owner}`,
      span([accepted]),
    )
    // What is issued from now on lives long; the token just received will expire soon.
    await authorization.post('/settings', { accessTokenTtl: longLifetime })
  }

  function takeDiscovery(metadata) {
    step = 'discovery'
    const resource = timeline.take({ ...metadata, status: 200 })
    const server = timeline.takeWhile({ server: 'AS', path: '/.well-known/oauth-authorization-server', status: 200 })
    assert.ok(server.length <= 1, 'the metadata of the authorization server are read once')
    narrator.done('discovery', [...resource, ...server].map(describe).join(' · '), span([...resource, ...server]))
  }

  /** The requests of one sign-in, in the order the specifications give them. */
  function takeSignIn({ metadata, resource }) {
    takeDiscovery(metadata)
    step = 'registration'
    // oidc-provider refuses a registration that names scopes of a resource; then it is asked once more without them.
    const refused = timeline.takeWhile({ server: 'AS', path: '/reg', status: 400, error: 'invalid_client_metadata' })
    assert.ok(refused.length <= 1, 'one reduced registration at most')
    const [registered] = timeline.take({ server: 'AS', method: 'POST', path: '/reg', status: 201 })
    const dropped = refused.flatMap(({ json }) => json.filter((name) => !registered.json.includes(name)))
    const { application_type, token_endpoint_auth_method } = registered.values
    const what = `${application_type} client, authentication ${token_endpoint_auth_method}`
    const without = dropped.length > 0 ? `, without ${dropped.join(', ')}` : ''
    const registration = [...refused, registered]
    narrator.done('registration', `${registration.map(describe).join(' · ')}, ${what}${without}`, span(registration))
    takeConsent({ resource })
    takeToken({ resource })
  }

  function takeConsent({ resource, scope = /./ }) {
    step = 'consent'
    // Where the server offers it the parameters travel by the back channel (RFC 9126), and the browser carries none.
    const pushed = timeline.takeWhile({ server: 'AS', method: 'POST', path: '/request', status: 201 })
    const visited = timeline.take({ server: 'AS', path: '/auth', status: 303 })
    const [{ values, query, form }] = [...pushed, ...visited]
    assert.equal(values.resource, resource)
    assert.equal(values.code_challenge_method, 'S256')
    assert.ok((form ?? query).includes('state'))
    assert.match(values.scope, scope)
    const pages = timeline.takeWhile({ server: 'AS', path: /^\/(interaction|auth)\// })
    assert.equal(pages.at(-1)?.status, 303, 'the person came back')
    const requests = [...pushed, ...visited]
    const what = `PKCE S256, scope ${values.scope}`
    narrator.done('consent', `${requests.map(describe).join(' · ')}, ${what}`, span([...requests, ...pages]))
  }

  function takeToken({ resource }) {
    step = 'token'
    const [token] = timeline.take({
      server: 'AS',
      method: 'POST',
      path: '/token',
      status: 200,
      values: { grant_type: 'authorization_code', resource },
    })
    assert.ok(token.form.includes('code_verifier'))
    const { expires_in, refresh } = token.issued
    const what = `authorization_code for ${expires_in} s${refresh ? ', with a refresh token' : ''}`
    narrator.done('token', `${describe(token)}, ${what}`, span([token]))
  }

  async function useMcpServer() {
    step = 'MCP sign-in'
    await timeline.clear()
    const client = new Client({ name: 'axios-oauth2-demo', version: '1.0.0' })
    const transport = new StreamableHTTPClientTransport(new URL(mcpServer.urls.mcp), { fetch: toFetch(mcp) })
    await narrator.during('connecting the official MCP client', () => client.connect(transport))
    await timeline.read()
    const [refused] = timeline.take({ server: 'MCP', rpc: 'initialize', status: 401 })
    narrator.done('MCP initialize', `${describe(refused)}, ${schemeOf(refused)} challenge`, span([refused]))
    takeSignIn({
      metadata: { server: 'MCP', path: '/.well-known/oauth-protected-resource/mcp' },
      resource: mcpServer.urls.resource,
    })
    step = 'MCP initialize'
    const [initialized] = timeline.take({ server: 'MCP', rpc: 'initialize', status: 200, authorization: 'Bearer' })
    narrator.done('MCP initialize', describe(initialized), span([initialized]))

    step = 'MCP tools'
    await timeline.clear()
    const { tools: list } = await client.listTools()
    const echo = await client.callTool({ name: 'echo', arguments: { text: 'hello' } })
    assert.deepEqual(echo.content, [{ type: 'text', text: 'hello' }])
    await timeline.read()
    const [listed] = timeline.takeAll({ rpc: 'tools/list', status: 200, authorization: 'Bearer' })
    const [called] = timeline.takeAll({ rpc: 'tools/call', tool: 'echo', status: 200, authorization: 'Bearer' })
    assert.ok(listed && called, 'both requests reached the MCP server')
    narrator.done('MCP tools/list', `${describe(listed)}: ${list.map((tool) => tool.name).join(', ')}`, span([listed]))
    narrator.done('MCP tools/call', `${describe(called)}: “${echo.content[0].text}”`, span([called]))
    await client.close()
  }

  async function callAcrossExpiry() {
    step = 'expiry'
    const { expiresAt, session } = await notes.describe()
    assert.ok(expiresAt !== undefined && session !== 'none')
    const left = expiresAt - Date.now() + 250
    if (left > 0) await narrator.during('waiting for the token to expire', () => sleep(left))
    await timeline.clear()
    const began = performance.now()
    const calls = Array.from({ length: concurrentCalls }, () => api.get('/notes'))
    const responses = await narrator.during(`${concurrentCalls} calls at once`, () => Promise.all(calls))
    const duration = performance.now() - began
    assert.ok(responses.every(({ status }) => status === 200))
    const { tokenRequests, reuseDetected } = await authorization.counters()
    assert.deepEqual({ tokenRequests, reuseDetected }, { tokenRequests: { refresh_token: 1 }, reuseDetected: 0 })
    await timeline.read()
    const [refresh] = timeline.take({
      server: 'AS',
      path: '/token',
      status: 200,
      values: { grant_type: 'refresh_token' },
    })
    const accepted = timeline.takeWhile({ server: 'API', path: '/api/notes', status: 200 })
    assert.equal(accepted.length, concurrentCalls)
    assert.equal(new Set(accepted.map(({ token }) => token)).size, 1, 'all with the new token')
    timeline.assertEmpty()
    narrator.done(
      'expiry',
      `${concurrentCalls} calls after the token expired: ${describe(refresh)} once, ${concurrentCalls} × ${describe(accepted[0])}`,
      duration,
    )
  }

  async function stepUp() {
    step = 'step-up'
    await timeline.clear()
    const response = await narrator.during('asking for more', () => api.get('/admin'))
    assert.equal(response.data.admin, true)
    await timeline.read()
    const [refused] = timeline.take({ server: 'API', path: '/api/admin', status: 403, challenge: /insufficient_scope/ })
    narrator.done('step-up', `${describe(refused)}, asks for notes:admin`, span([refused]))
    // Read again before a person is asked: the resource may have moved to another authorization server.
    takeDiscovery(apiMetadata)
    takeConsent({ resource: apiServer.urls.resource, scope: /^(?=.*notes:read)(?=.*notes:write)(?=.*notes:admin)/ })
    takeToken({ resource: apiServer.urls.resource })
    step = 'call succeeds'
    const [accepted] = timeline.take({ server: 'API', path: '/api/admin', status: 200, authorization: 'Bearer' })
    timeline.assertEmpty()
    narrator.done('call succeeds', describe(accepted), span([accepted]))
  }

  async function signOut() {
    step = 'sign-out'
    await timeline.clear()
    await narrator.during('revoking', () => notes.signOut())
    assert.equal((await notes.describe()).session, 'none')
    await timeline.read()
    const revocations = timeline.takeAll({ server: 'AS', method: 'POST', path: '/token/revocation' })
    assert.ok(
      revocations.some(({ status }) => status === 200),
      'the authorization server revoked',
    )
    timeline.assertEmpty()
    narrator.done('sign-out', revocations.map(describe).join(' · '), span(revocations))

    step = 'next call'
    await timeline.clear()
    await authorization.post('/decision', { error: 'access_denied' })
    person = scripted
    const outcome = await narrator.during('calling once more', () => api.get('/notes').catch((error) => error))
    assert.ok(isOAuthFlowError(outcome), 'the call needs a sign-in')
    assert.equal(outcome.code, 'OAUTH_AUTHORIZATION_DENIED')
    await timeline.read()
    const [asked] = timeline.takeAll({ server: 'AS', path: '/auth' })
    assert.ok(asked, 'the person was asked again')
    assert.deepEqual(timeline.takeAll({ authorization: 'Bearer' }), [], 'no token is left')
    assert.deepEqual(timeline.takeAll({ path: '/token' }), [], 'no token was issued')
    narrator.done('next call', `${describe(asked)}: needs a sign-in, refused this time: ${outcome.code}`, span([asked]))
  }

  return { signInAndCall, useMcpServer, callAcrossExpiry, stepUp, signOut }
}

function schemeOf({ challenge = '' }) {
  return challenge.split(' ')[0]
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Why a step failed, on one line: of an assertion its message, of the library code and hint. */
function explain(error) {
  const { message, code, hint } = error instanceof Error ? error : { message: String(error) }
  const reason = isOAuthFlowError(error) ? `${code}: ${message}${hint ? ` (${hint})` : ''}` : message
  return reason.replace(/\s*\n\s*/g, ' ')
}

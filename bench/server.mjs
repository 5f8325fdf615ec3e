/**
 * A protected API and its authorization server on loopback, in the process that `startServer()` forks. Refresh tokens
 * rotate; one that is presented twice ends its session with everything issued in it (RFC 9700 §4.14.2).
 */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

/** Milliseconds until the token endpoint answers: a server writes to its database before it does. */
const tokenDelay = 10
const lifetime = 600 // seconds

/** Access token → session, refresh token → session, and codes that hand over a session that exists. */
const accessTokens = new Map()
const refreshTokens = new Map()
const codes = new Map()
let counters = freshCounters()

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://server')
  if (pathname.startsWith('/api')) return serveApi(request, response)
  if (pathname === '/token') return void serveToken(request, response)
  if (pathname in documents()) return sendJson(response, 200, documents()[pathname])
  return sendJson(response, 404, {})
})

server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', 4_096)
process.on('message', (command) => void answer(command))
process.on('disconnect', () => process.exit(0))

const commands = {
  origin: () => ({ origin: origin() }),
  /** A session; `lives: false` gives it an access token that has expired. */
  session: ({ lives }) => {
    const session = { alive: true }
    const tokens = issue(session, lives ? lifetime : -lifetime)
    const code = randomBytes(9).toString('base64url')
    codes.set(code, tokens)
    return { tokens, code }
  },
  /** Ends an access token before its time, as revocation does; the session goes on. */
  revoke: ({ token }) => {
    accessTokens.delete(token)
    return {}
  },
  /** What happened since the last time. */
  counters: () => {
    const told = counters
    counters = freshCounters()
    return told
  },
}

async function answer(command) {
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
  process.send(commands[command.name](command))
}

function origin() {
  return `http://127.0.0.1:${server.address().port}`
}

function freshCounters() {
  return { served: 0, refused: 0, refreshes: 0, reuses: 0 }
}

function serveApi(request, response) {
  const token = request.headers.authorization?.slice('Bearer '.length)
  const access = accessTokens.get(token)
  if (access !== undefined && access.session.alive && Date.now() < access.expiresAt) {
    counters.served += 1
    return sendJson(response, 200, { ok: true })
  }
  counters.refused += 1
  const challenge = `Bearer error="invalid_token", resource_metadata="${origin()}/.well-known/oauth-protected-resource/api"`
  return sendJson(response, 401, {}, { 'www-authenticate': challenge })
}

async function serveToken(request, response) {
  let text = ''
  for await (const chunk of request) text += chunk
  const form = new URLSearchParams(text)
  await new Promise((resolve) => setTimeout(resolve, tokenDelay))
  const tokens =
    form.get('grant_type') === 'refresh_token' ? rotate(form.get('refresh_token')) : redeem(form.get('code'))
  if (tokens === undefined) return sendJson(response, 400, { error: 'invalid_grant' })
  return sendJson(response, 200, tokens, { 'cache-control': 'no-store' })
}

/** Hands over a session that was made by command; nobody signs in here. */
function redeem(code) {
  const tokens = codes.get(code)
  codes.delete(code)
  return tokens
}

function rotate(presented) {
  const refresh = refreshTokens.get(presented)
  if (refresh === undefined || !refresh.session.alive) return undefined
  if (refresh.used) {
    counters.reuses += 1
    refresh.session.alive = false
    return undefined
  }
  refresh.used = true
  counters.refreshes += 1
  return issue(refresh.session, lifetime)
}

/** An access token in the shape of a JWT, for clients that read the expiry in it. */
function issue(session, seconds) {
  const expiresAt = Date.now() + seconds * 1_000
  const claims = { exp: Math.floor(expiresAt / 1_000), jti: randomBytes(9).toString('base64url') }
  const parts = [{ alg: 'none' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const access_token = [...parts, 'c2ln'].join('.')
  const refresh_token = randomBytes(18).toString('base64url')
  accessTokens.set(access_token, { session, expiresAt })
  refreshTokens.set(refresh_token, { session, used: false })
  return { access_token, token_type: 'Bearer', expires_in: seconds, refresh_token }
}

function documents() {
  return {
    '/.well-known/oauth-protected-resource/api': { resource: `${origin()}/api`, authorization_servers: [origin()] },
    '/.well-known/oauth-authorization-server': {
      issuer: origin(),
      authorization_endpoint: `${origin()}/authorize`,
      token_endpoint: `${origin()}/token`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
    },
  }
}

function sendJson(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

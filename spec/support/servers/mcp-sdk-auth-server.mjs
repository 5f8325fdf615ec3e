/**
 * The official SDK's server with its own authorization server: `mcpAuthRouter`, `requireBearerAuth`, Streamable HTTP.
 * The router is theirs with all its habits; behind it is a small provider that rotates refresh tokens and consents at once.
 */
import { randomUUID } from 'node:crypto'
import express from 'express'
import {
  InvalidGrantError,
  InvalidScopeError,
  InvalidTargetError,
  InvalidTokenError,
  ServerError,
} from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js'
import { createJournal, countTokenRequest } from './journal.mjs'
import { mcpEndpoint, needsAdmin } from './mcp-endpoint.mjs'
import { announce, dieWithParent, readFlags, reserve, startControl } from './runtime.mjs'

dieWithParent()

const flags = readFlags({
  // '2025-03-26': no resource metadata anywhere, the MCP origin is the authorization server;
  // '2025-03-26-bare': no authorization-server metadata either, only /authorize, /token and /register.
  revision: '2025-06-18',
  accessTokenTtl: 300, // seconds
  rateLimits: false, // the SDK's own: 20 registrations an hour, 50 token requests in 15 minutes
  deadRefreshToken: 'invalid_grant', // 'server_error': what the SDK's proxy provider answers
  iss: false, // add RFC 9207 iss to the authorization response (not advertised by v1)
})

const { origin, use } = await reserve()
const resource = `${origin}/mcp`
const isLegacy = flags.revision.startsWith('2025-03-26')
const issuerUrl = new URL(origin)
const settings = { accessTokenTtl: flags.accessTokenTtl }
const clients = new Map()
const codes = new Map()
const accessTokens = new Map()
const refreshTokens = new Map() // value → { grant, used }
const counts = {}
resetCounts()

const provider = {
  clientsStore: {
    getClient: (id) => clients.get(id),
    registerClient(client) {
      clients.set(client.client_id, client)
      counts.registrations += 1
      return client
    },
  },
  async authorize(client, params, response) {
    const scopes = params.scopes?.length ? params.scopes : ['mcp:tools']
    if (scopes.some((scope) => !['mcp:tools', 'mcp:admin'].includes(scope)))
      throw new InvalidScopeError('unknown scope')
    if (!isLegacy && params.resource?.href !== resource) throw new InvalidTargetError('unknown resource')
    const code = randomUUID()
    codes.set(code, { client, params, scopes })
    const target = new URL(params.redirectUri)
    target.searchParams.set('code', code)
    if (params.state !== undefined) target.searchParams.set('state', params.state)
    if (flags.iss) target.searchParams.set('iss', issuerUrl.href)
    counts.authorizationRequests += 1
    response.redirect(target.href)
  },
  async challengeForAuthorizationCode(client, code) {
    return findCode(client, code).params.codeChallenge
  },
  async exchangeAuthorizationCode(client, code, _verifier, redirectUri) {
    const { params, scopes } = findCode(client, code)
    codes.delete(code)
    if (redirectUri !== params.redirectUri) throw new InvalidGrantError('another redirect_uri')
    return issue({ clientId: client.client_id, scopes, revoked: false })
  },
  async exchangeRefreshToken(client, value, scopes) {
    const found = refreshTokens.get(value)
    if (found === undefined || found.grant.revoked || found.grant.clientId !== client.client_id)
      throw deadRefreshToken()
    if (found.used) {
      found.grant.revoked = true
      counts.reuseDetected += 1
      throw deadRefreshToken()
    }
    if (scopes?.some((scope) => !found.grant.scopes.includes(scope))) throw new InvalidScopeError('not granted')
    found.used = true
    return issue(found.grant)
  },
  async verifyAccessToken(token) {
    const found = accessTokens.get(token)
    if (found === undefined || found.grant.revoked) throw new InvalidTokenError('unknown token')
    const { clientId, scopes } = found.grant
    return { token, clientId, scopes, expiresAt: found.expiresAt, resource: new URL(resource) }
  },
  async revokeToken(_client, { token }) {
    const found = refreshTokens.get(token) ?? accessTokens.get(token)
    if (found) found.grant.revoked = true
    counts.revocationRequests += 1
  },
}

const app = express()
app.use((request, response, next) => {
  const hidden =
    (isLegacy && request.path.startsWith('/.well-known/oauth-protected-resource')) ||
    (flags.revision === '2025-03-26-bare' && request.path.startsWith('/.well-known/'))
  return hidden ? response.status(404).end() : next()
})
const limits = flags.rateLimits ? {} : { rateLimit: false }
app.use(
  mcpAuthRouter({
    provider,
    issuerUrl,
    resourceServerUrl: new URL(resource),
    scopesSupported: ['mcp:tools', 'mcp:admin'],
    authorizationOptions: limits,
    tokenOptions: limits,
    clientRegistrationOptions: limits,
    revocationOptions: limits,
  }),
)
const resourceMetadataUrl = isLegacy ? undefined : getOAuthProtectedResourceMetadataUrl(new URL(resource))
const requireTools = requireBearerAuth({ verifier: provider, requiredScopes: ['mcp:tools'], resourceMetadataUrl })
const requireAdmin = requireBearerAuth({ verifier: provider, requiredScopes: ['mcp:admin'], resourceMetadataUrl })
app.all(
  '/mcp',
  requireTools,
  express.json(),
  (request, response, next) => (needsAdmin(request.body) ? requireAdmin(request, response, next) : next()),
  mcpEndpoint(),
)

const journal = createJournal({ annotate: count, counters: () => structuredClone(counts), onReset: resetCounts })
use(journal.observe(app))
const control = await startControl({
  ...journal.controls,
  'POST /settings': (next) => Object.assign(settings, next),
  // Every grant so far is dead: access tokens get 401, refresh tokens are refused.
  'POST /revoke-all': () => {
    for (const { grant } of [...accessTokens.values(), ...refreshTokens.values()]) grant.revoked = true
  },
})
announce('mcp-sdk-auth-server', { origin, issuer: issuerUrl.href, resource, mcp: resource, control })

function findCode(client, code) {
  const found = codes.get(code)
  if (found === undefined || found.client.client_id !== client.client_id) throw new InvalidGrantError('unknown code')
  return found
}

function issue(grant) {
  const [access, refresh] = [randomUUID(), randomUUID()]
  accessTokens.set(access, { grant, expiresAt: Math.floor(Date.now() / 1000) + settings.accessTokenTtl })
  refreshTokens.set(refresh, { grant, used: false })
  return {
    access_token: access,
    refresh_token: refresh,
    token_type: 'bearer',
    expires_in: settings.accessTokenTtl,
    scope: grant.scopes.join(' '),
  }
}

function deadRefreshToken() {
  return flags.deadRefreshToken === 'server_error'
    ? new ServerError('Token refresh failed')
    : new InvalidGrantError('unknown refresh token')
}

function count(entry, { answer }) {
  if (entry.path !== '/token' || entry.method !== 'POST') return
  countTokenRequest(counts, entry, answer)
}

function resetCounts() {
  Object.assign(counts, {
    tokenRequests: {},
    tokensIssued: {},
    authorizationRequests: 0,
    registrations: 0,
    revocationRequests: 0,
    reuseDetected: 0,
  })
}

/** The official SDK's Streamable HTTP server at /mcp behind its bearer check; an external server issues the tokens. */
import express from 'express'
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from '@modelcontextprotocol/sdk/server/auth/router.js'
import { accessTokenVerifier, fetchAuthorizationServerMetadata, Refusal } from './access-token.mjs'
import { createJournal } from './journal.mjs'
import { mcpEndpoint, needsAdmin } from './mcp-endpoint.mjs'
import { announce, dieWithParent, readFlags, reserve, startControl } from './runtime.mjs'

dieWithParent()

const flags = readFlags({
  issuer: undefined, // required
  path: '/mcp',
  scopesSupported: ['mcp:tools', 'mcp:admin'],
})
if (flags.issuer === undefined) throw new TypeError('flag issuer is required')

const { origin, use } = await reserve()
const resource = `${origin}${flags.path}`
const oauthMetadata = await fetchAuthorizationServerMetadata(flags.issuer)
const verifyToken = accessTokenVerifier({ issuer: flags.issuer, jwksUri: oauthMetadata.jwks_uri, audience: resource })
const resourceMetadataUrl = getOAuthProtectedResourceMetadataUrl(new URL(resource))

const verifier = {
  async verifyAccessToken(token) {
    try {
      const payload = await verifyToken(token)
      const scopes = (payload.scope ?? '').split(' ').filter(Boolean)
      return { token, clientId: payload.client_id, scopes, expiresAt: payload.exp, resource: new URL(resource) }
    } catch (error) {
      // Any other class than the SDK's own becomes a 500 there.
      throw error instanceof Refusal ? new InvalidTokenError(error.message) : error
    }
  },
}
const requireTools = requireBearerAuth({
  verifier,
  requiredScopes: ['mcp:tools'],
  resourceMetadataUrl,
  expectedResource: new URL(resource),
})
const requireAdmin = requireBearerAuth({ verifier, requiredScopes: ['mcp:admin'], resourceMetadataUrl })

const app = express()
app.use(
  mcpAuthMetadataRouter({
    oauthMetadata,
    resourceServerUrl: new URL(resource),
    scopesSupported: flags.scopesSupported,
    resourceName: 'Notes (MCP)',
  }),
)
app.all(
  flags.path,
  requireTools,
  express.json(),
  (request, response, next) => (needsAdmin(request.body) ? requireAdmin(request, response, next) : next()),
  mcpEndpoint(),
)

const journal = createJournal()
use(journal.observe(app))
const control = await startControl(journal.controls)
announce('mcp-server', { origin, resource, mcp: resource, metadata: resourceMetadataUrl, control })

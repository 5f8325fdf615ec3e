/**
 * A plain JSON API that wants an access token of the authorization server, as an API in front of any company's data
 * does: RFC 9728 metadata, RFC 6750 challenges, RFC 9068 tokens restricted to this resource, optionally RFC 9449 proofs.
 */
import { createHash } from 'node:crypto'
import { accessTokenVerifier, fetchAuthorizationServerMetadata, proofVerifier, Refusal } from './access-token.mjs'
import { createJournal, fingerprint } from './journal.mjs'
import { announce, dieWithParent, readBytes, readFlags, reserve, sendJson, startControl } from './runtime.mjs'

dieWithParent()

const flags = readFlags({
  issuer: undefined, // required
  path: '/api', // the resource is <origin><path>
  scopesSupported: ['notes:read', 'notes:write', 'notes:admin'],
  challengeScope: 'notes:read notes:write', // scope of the 401 challenge; '' leaves it out
  metadata: true, // publish RFC 9728 metadata
  metadataInChallenge: true,
  dpop: 'off', // 'off', 'optional', 'required'
  dpopNonce: false,
})
if (flags.issuer === undefined) throw new TypeError('flag issuer is required')

const { origin, use } = await reserve()
const resource = `${origin}${flags.path}`
const metadataUrl = `${origin}/.well-known/oauth-protected-resource${flags.path}`
const authorizationServer = await fetchAuthorizationServerMetadata(flags.issuer)
const verifyToken = accessTokenVerifier({
  issuer: flags.issuer,
  jwksUri: authorizationServer.jwks_uri,
  audience: resource,
})
const proofs = proofVerifier({ nonces: flags.dpopNonce })
const openStreams = new Set()
let rejectedBefore = 0 // ms since the epoch
const accepted = new Set() // fingerprints
const rejected = new Set() // fingerprints

const journal = createJournal()
use(journal.observe(serve))

const control = await startControl({
  ...journal.controls,
  // Rejects every token issued before a moment (ms since the epoch). Tokens know whole seconds only.
  'POST /reject-issued-before': ({ at = Date.now() }) => ({ at: (rejectedBefore = at) }),
  // Rejects every token accepted so far, to the token.
  'POST /reject-seen': () => {
    for (const token of accepted) rejected.add(token)
    return { rejected: rejected.size }
  },
  'POST /new-nonce': () => void proofs.renewNonce(),
  'POST /finish-streams': () => {
    for (const response of openStreams) response.end()
    return { finished: openStreams.size }
  },
})
announce('protected-api', { origin, resource, api: resource, metadata: metadataUrl, control })

async function serve(request, response) {
  const url = new URL(request.url, origin)
  try {
    if (proofs.nonce() !== undefined) response.setHeader('DPoP-Nonce', proofs.nonce())
    if (url.pathname === new URL(metadataUrl).pathname && flags.metadata)
      return sendJson(response, 200, describeResource())
    if (url.pathname !== flags.path && !url.pathname.startsWith(`${flags.path}/`))
      return serveOutside(request, response, url)
    const token = await authenticate(request, url)
    await serveApi(request, response, url, token)
  } catch (error) {
    if (!(error instanceof Refusal)) {
      process.stderr.write(`protected-api: ${error.stack}\n`)
      return response.headersSent ? response.destroy() : sendJson(response, 500, { error: 'server_error' })
    }
    request.resume()
    sendJson(
      response,
      error.status,
      { error: error.error ?? 'unauthorized', error_description: error.message },
      { 'www-authenticate': challenge(error) },
    )
  }
}

function describeResource() {
  return {
    resource,
    authorization_servers: [flags.issuer],
    scopes_supported: flags.scopesSupported,
    bearer_methods_supported: ['header'],
    resource_name: 'Notes',
    ...(flags.dpop !== 'off' && { dpop_signing_alg_values_supported: ['ES256', 'EdDSA'] }),
    ...(flags.dpop === 'required' && { dpop_bound_access_tokens_required: true }),
  }
}

/** RFC 6750 §3.1: without credentials a challenge carries no error code. */
function challenge({ error, message, scope = flags.challengeScope }) {
  const parameters = Object.entries({
    error,
    error_description: error && message,
    scope: scope || undefined,
    resource_metadata: flags.metadataInChallenge ? metadataUrl : undefined,
  })
  const text = parameters.flatMap(([name, value]) => (value ? [`${name}="${value}"`] : [])).join(', ')
  const schemes = { off: ['Bearer'], optional: ['DPoP', 'Bearer'], required: ['DPoP'] }[flags.dpop]
  return schemes
    .map((scheme) => `${scheme} ${scheme === 'DPoP' ? `algs="ES256 EdDSA"${text && ', '}${text}` : text}`.trim())
    .join(', ')
}

async function authenticate(request, url) {
  const [, scheme = '', token] = /^(\S+) +(\S+)$/.exec(request.headers.authorization ?? '') ?? []
  const isDpop = scheme.toLowerCase() === 'dpop' && flags.dpop !== 'off'
  const isBearer = scheme.toLowerCase() === 'bearer'
  if (!isDpop && !isBearer) throw new Refusal(401, undefined, 'this needs an access token')
  const payload = await verifyToken(token)
  if (isDpop) {
    await proofs.verify({
      proof: request.headers.dpop,
      method: request.method,
      url: `${origin}${url.pathname}`,
      token,
      thumbprint: payload.cnf?.jkt,
    })
  } else if (payload.cnf?.jkt !== undefined || flags.dpop === 'required') {
    throw new Refusal(401, 'invalid_token', 'a bound token needs a proof')
  }
  if (payload.iat * 1000 < rejectedBefore || rejected.has(fingerprint(token))) {
    throw new Refusal(401, 'invalid_token', 'the token was revoked')
  }
  accepted.add(fingerprint(token))
  return payload
}

function requireScope(token, scope) {
  if ((token.scope ?? '').split(' ').includes(scope)) return
  throw Object.assign(new Refusal(403, 'insufficient_scope', `this needs ${scope}`), { scope })
}

async function serveApi(request, response, url, token) {
  const path = url.pathname.slice(flags.path.length) || '/'
  const route = `${request.method} ${path}`
  if (route === 'GET /notes') {
    requireScope(token, 'notes:read')
    return sendJson(response, 200, { notes: [{ id: 1, text: 'buy milk' }], owner: token.sub })
  }
  if (route === 'POST /notes') {
    requireScope(token, 'notes:write')
    const bytes = await readBytes(request)
    return sendJson(response, 201, {
      contentType: request.headers['content-type'],
      length: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      body: bytes.length <= 4096 ? bytes.toString('utf8') : undefined,
    })
  }
  if (route === 'GET /admin') {
    requireScope(token, 'notes:admin')
    return sendJson(response, 200, { admin: true, owner: token.sub })
  }
  if (route === 'GET /whoami') {
    return sendJson(response, 200, {
      sub: token.sub,
      client_id: token.client_id,
      scope: token.scope,
      expiresIn: token.exp - Date.now() / 1000,
      bound: token.cnf?.jkt !== undefined,
    })
  }
  if (route === 'GET /slow') return stream(response, url.searchParams)
  request.resume()
  if (path === '/redirect') {
    const status = Number(url.searchParams.get('status') ?? 302)
    return response.writeHead(status, { location: url.searchParams.get('to') ?? `${flags.path}/notes` }).end()
  }
  const [, status] = /^\/status\/([1-5]\d\d)$/.exec(path) ?? []
  sendJson(response, Number(status ?? 404), { path, method: request.method })
}

/** `?chunks=3&interval=20` ends by itself; `?endless=1` goes on until the client leaves or control finishes it. */
function stream(response, parameters) {
  const endless = parameters.has('endless')
  let left = Number(parameters.get('chunks') ?? 3)
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.write('chunk\n')
  openStreams.add(response)
  const timer = setInterval(
    () => {
      if (!endless && --left <= 0) return response.end()
      response.write('chunk\n')
    },
    Number(parameters.get('interval') ?? 20),
  )
  response.once('close', () => {
    clearInterval(timer)
    openStreams.delete(response)
  })
}

/** Everything beside the resource is public, and must never see a credential: the journal says whether it did. */
function serveOutside(request, response, url) {
  request.resume()
  const found = url.pathname.startsWith('/public')
  sendJson(response, found ? 200 : 404, { public: found, authorization: request.headers.authorization !== undefined })
}

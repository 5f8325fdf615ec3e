/**
 * The certified authorization server oidc-provider on loopback, as strict as it gets: PKCE, resource indicators with
 * JWT access tokens, refresh rotation with reuse detection. The person is played by a decision (see `decide`).
 */
import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import { interactionPage } from './interaction-page.mjs'
import { createJournal, countTokenRequest } from './journal.mjs'
import { announce, dieWithParent, readBytes, readFlags, reserve, sendJson, startControl } from './runtime.mjs'

dieWithParent()

const flags = readFlags({
  issuerPath: '', // '/tenant/a': the issuer has a path
  wellKnown: ['oauth', 'openid-appended'], // where metadata is: 'oauth', 'oauth-appended', 'openid', 'openid-appended'
  resources: {}, // resource identifier → scopes it knows; while empty, any absolute URI is a resource
  scope: 'notes:read notes:write notes:admin mcp:tools mcp:admin', // scopes of a resource that names none
  accessTokenTtl: 300, // seconds
  refreshTokens: 'always', // 'always', 'offline_access' (only when that scope is granted), 'never'
  rotate: true,
  useGrantedResource: true,
  registration: true,
  initialAccessToken: undefined, // a string guards the registration
  revocation: true,
  par: 'optional', // 'off', 'optional', 'required'
  dpop: true,
  dpopNonce: false, // every proof needs a nonce of this server
  clientCredentials: true,
  deviceFlow: true,
  deviceInterval: 1, // seconds between polls
  deviceCodeTtl: 600, // seconds
  trustedIssuers: {}, // issuer → JWKS: its JWTs are taken as assertions (RFC 7523) and exchanged (RFC 8693)
  clientIdMetadataDocuments: true, // served by POST /documents of the control port
  clients: [], // static clients: RFC 7591 members with client_id
  interaction: 'auto', // 'auto': decided by login_hint or control; 'forms': HTML for a person
  verbose: false, // let the server's own notices through, to stderr
})

// Notices about defaults and about the runtime would break the one line that the parent reads.
for (const method of ['log', 'info', 'warn']) {
  console[method] = flags.verbose ? (...words) => console.error(...words) : () => {}
}
const { Provider } = await import('oidc-provider')

const { origin, use } = await reserve()
const issuer = `${origin}${flags.issuerPath}`
const settings = { accessTokenTtl: flags.accessTokenTtl }
const resources = new Map(Object.entries(flags.resources))
const documents = new Map()
const counts = {}
let decision = {}
resetCounts()

const provider = new Provider(issuer, {
  adapter: undefined,
  clients: flags.clients,
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: { keys: await Promise.all(['ES256', 'RS256'].map(generateSigningKey)) },
  scopes: ['openid', 'offline_access'],
  responseTypes: ['code'],
  pkce: { required: () => true },
  rotateRefreshToken: flags.rotate,
  expiresWithSession: () => false,
  issueRefreshToken: (_ctx, client, source) =>
    client.grantTypeAllowed('refresh_token') &&
    (flags.refreshTokens === 'always' || (flags.refreshTokens !== 'never' && source.scopes.has('offline_access'))),
  interactions: { url: (_ctx, interaction) => `${flags.issuerPath}/interaction/${interaction.uid}` },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  clientBasedCORS: () => true,
  fetch: serveDocument,
  renderError(ctx, out) {
    ctx.type = 'json'
    ctx.body = out
  },
  ttl: {
    AccessToken: () => settings.accessTokenTtl,
    ClientCredentials: () => settings.accessTokenTtl,
    AuthorizationCode: () => 60,
    DeviceCode: () => flags.deviceCodeTtl,
    Grant: () => 86_400,
    IdToken: () => 300,
    Interaction: () => 600,
    RefreshToken: () => 86_400,
    Session: () => 86_400,
  },
  features: {
    devInteractions: { enabled: false },
    dPoP: {
      enabled: flags.dpop,
      ...(flags.dpopNonce && { nonceSecret: randomBytes(32), requireNonce: () => true }),
    },
    clientCredentials: { enabled: flags.clientCredentials },
    clientIdMetadataDocument: { enabled: flags.clientIdMetadataDocuments, ack: 'draft-02' },
    deviceFlow: {
      enabled: flags.deviceFlow,
      userCodeInputSource: page((form) => form),
      userCodeConfirmSource: page((form) => form),
      successSource: page(() => 'device approved'),
    },
    introspection: { enabled: true },
    pushedAuthorizationRequests: {
      enabled: flags.par !== 'off',
      requirePushedAuthorizationRequests: flags.par === 'required',
    },
    registration: { enabled: flags.registration, initialAccessToken: flags.initialAccessToken ?? false },
    registrationManagement: { enabled: flags.registration },
    revocation: { enabled: flags.revocation },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => flags.useGrantedResource,
      getResourceServerInfo: describeResource,
    },
  },
})

if (Object.keys(flags.trustedIssuers).length > 0) {
  const { registerAssertionGrants } = await import('./assertion-grants.mjs')
  registerAssertionGrants(provider, { trusted: flags.trustedIssuers, describeResource })
}
provider.on('grant.error', (_ctx, error) => {
  if (error.error_detail === 'refresh token already used') counts.reuseDetected += 1
})
provider.on('grant.revoked', () => (counts.grantsRevoked += 1))
provider.on('registration_create.success', () => (counts.registrations += 1))
provider.on('server_error', (_ctx, error) => process.stderr.write(`oidc-provider: ${error.stack}\n`))
provider.use(async (ctx, next) => {
  await next()
  if (ctx.body?.device_code) ctx.body = { ...ctx.body, interval: flags.deviceInterval }
})

const journal = createJournal({ annotate: count, counters: () => structuredClone(counts), onReset: resetCounts })
const serveProvider = provider.callback()
use(journal.observe(route))

const control = await startControl({
  ...journal.controls,
  // How the person answers from now on: { error, description } | { grant: 'less scope' } | { account }.
  'POST /decision': (next) => (decision = next),
  'POST /resources': ({ resource, scope }) => void resources.set(resource, scope ?? flags.scope),
  'POST /documents': ({ url, document }) => void documents.set(url, document),
  'POST /settings': (next) => Object.assign(settings, next),
})
announce('oidc-provider', { issuer, control })

async function generateSigningKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg }
}

async function describeResource(_ctx, resource) {
  const scope = resources.get(resource) ?? (resources.size === 0 ? flags.scope : undefined)
  if (scope === undefined) {
    const { errors } = await import('oidc-provider')
    throw new errors.InvalidTarget()
  }
  return {
    scope,
    audience: resource,
    accessTokenTTL: settings.accessTokenTtl,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  }
}

/** Strips the issuer's path, and offers metadata only where `wellKnown` says. */
function route(request, response) {
  const url = new URL(request.url, origin)
  const location = locateMetadata(url.pathname)
  if (location !== undefined) {
    if (!flags.wellKnown.includes(location)) return response.writeHead(404).end()
    request.url = location.startsWith('oauth')
      ? '/.well-known/oauth-authorization-server'
      : '/.well-known/openid-configuration'
  } else if (url.pathname.startsWith(`${flags.issuerPath}/`)) {
    request.url = request.url.slice(flags.issuerPath.length)
  } else {
    return response.writeHead(404).end()
  }
  // The provider derives its own URLs from this; without it a path of the issuer is lost.
  request.originalUrl = flags.issuerPath + request.url
  return request.url.startsWith('/interaction/') ? interact(request, response) : serveProvider(request, response)
}

function locateMetadata(pathname) {
  const path = flags.issuerPath
  const at = {
    [`/.well-known/oauth-authorization-server${path}`]: 'oauth',
    [`/.well-known/openid-configuration${path}`]: path === '' ? 'openid-appended' : 'openid',
  }
  if (path !== '') {
    at[`${path}/.well-known/oauth-authorization-server`] = 'oauth-appended'
    at[`${path}/.well-known/openid-configuration`] = 'openid-appended'
  }
  return at[pathname]
}

/**
 * Answers an interaction as the person would: by the decision that control left, by `login_hint`, and where nothing is
 * decided by the form or, without forms, with yes.
 */
async function interact(request, response) {
  try {
    const details = await provider.interactionDetails(request, response)
    const answer = await decide(request, details.params.login_hint)
    if (answer === undefined) return await showForm(response, details)
    const result = await resultOf(details, answer)
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: !('error' in result) })
  } catch (failure) {
    sendJson(response, 400, { error: failure.message, error_description: failure.error_description })
  }
}

/** The answer of the person, undefined while there is none. */
async function decide(request, hint) {
  const decided = readHint(hint) ?? (Object.keys(decision).length > 0 ? decision : undefined)
  if (decided !== undefined) return decided
  if (flags.interaction === 'auto') return {}
  return request.method === 'POST' ? readAnswer(request) : undefined
}

async function resultOf(details, { error, description, grant, account = 'alice' }) {
  if (error !== undefined) return { error, error_description: description ?? 'the person said no' }
  if (details.prompt.name === 'login') return { login: { accountId: account } }
  return { consent: { grantId: await saveGrant(details, grant) } }
}

async function readAnswer(request) {
  const form = new URLSearchParams((await readBytes(request)).toString('utf8'))
  return form.has('deny') ? { error: 'access_denied' } : { account: form.get('account') || undefined }
}

async function showForm(response, { prompt, params }) {
  const client = await provider.Client.find(params.client_id)
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
  response.end(interactionPage({ prompt: prompt.name, client: client.clientName ?? client.clientId, ...params }))
}

/** `deny`, `grant:notes:read` (only these scopes), `account:bob`; anything else leaves the decision to control. */
function readHint(hint = '') {
  if (hint === 'deny') return { error: 'access_denied' }
  const [, kind, value] = /^(grant|account):(.+)$/.exec(hint) ?? []
  return kind && { [kind]: value }
}

async function saveGrant({ grantId, session, params, prompt }, wanted) {
  const grant =
    (grantId && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '))
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    const granted = scopes.filter((scope) => wanted === undefined || wanted.split(' ').includes(scope))
    const refused = scopes.filter((scope) => !granted.includes(scope))
    if (granted.length > 0) grant.addResourceScope(resource, granted.join(' '))
    if (refused.length > 0) grant.rejectResourceScope(resource, refused.join(' '))
  }
  return grant.save()
}

/** Stands in for the network when the provider fetches a client ID metadata document (or a `jwks_uri`). */
async function serveDocument(url) {
  const document = documents.get(String(url))
  return document === undefined ? new Response('', { status: 404 }) : Response.json(document)
}

function page(content) {
  return (ctx, form) => {
    ctx.type = 'html'
    ctx.body = `<!doctype html><title>device</title>${content(form)}`
  }
}

function count(entry, { answer }) {
  const path = entry.path.slice(flags.issuerPath.length)
  if (path === '/auth') counts.authorizationRequests += 1
  if (path === '/token/revocation') counts.revocationRequests += 1
  if (path !== '/token' || entry.method !== 'POST') return
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
    grantsRevoked: 0,
  })
}

import { pathOf, queryOf, type Answer, type Entry } from './entry'

const prm = '/.well-known/oauth-protected-resource'
const metadata = /\/\.well-known\/(oauth-authorization-server|openid-configuration)/

/** Answers everything as an honest server would, as itself; the journal has what it learned. */
export function evilAnswer(entry: Entry): Answer {
  const origin = `http://${entry.headers.host}`
  const path = pathOf(entry)
  switch (entry.endpoint) {
    case 'prm':
      return { body: { resource: origin + path.replace(prm, ''), authorization_servers: [origin] } }
    case 'as-metadata':
    case 'openid':
      return { body: evilMetadata(origin + path.replace(metadata, '')) }
    case 'register':
      return {
        status: 201,
        body: { ...(entry.json as object | undefined), client_id: 'evil-client', client_secret: 'evil-secret' },
      }
    case 'authorize':
      return comeBack(queryOf(entry), origin)
    case 'par':
      return { status: 201, body: { request_uri: 'urn:evil:request', expires_in: 60 } }
    case 'token':
      return {
        body: { access_token: 'evil-access', token_type: 'Bearer', expires_in: 3600, refresh_token: 'evil-refresh' },
      }
    case 'revoke':
      return {}
    default:
      return { body: { hello: 'from evil' } }
  }
}

function evilMetadata(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    revocation_endpoint: `${issuer}/revoke`,
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
}

function comeBack(query: URLSearchParams, origin: string): Answer {
  const redirectUri = query.get('redirect_uri') ?? ''
  if (!URL.canParse(redirectUri)) return { body: 'hello' }
  const location = new URL(redirectUri)
  location.searchParams.set('code', 'evil-code')
  location.searchParams.set('state', query.get('state') ?? '')
  location.searchParams.set('iss', origin)
  return { status: 302, headers: { Location: location.href } }
}

import { parseScope } from './scope'

/** What an authorization request says (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2.1, RFC 9449 §10). */
export interface AuthorizationRequest {
  readonly clientId: string
  readonly redirectUri: string
  readonly state: string
  /** The S256 challenge. */
  readonly codeChallenge: string
  readonly scope?: string | undefined
  readonly resource?: string | undefined
  /** The user's own parameters; those of the protocol win over them. */
  readonly extra: Readonly<Record<string, string>>
  /** Thumbprint of the DPoP key that the code is bound to. */
  readonly dpopJkt?: string | undefined
}

/**
 * Parameters of the protocol never come from the endpoint's own query, sent or not: a hostile server may name another
 * server's endpoint together with a `scope` or a `request_uri` that the user never chose.
 */
const protocolParameters = new Set(
  'response_type client_id redirect_uri state code_challenge code_challenge_method scope resource dpop_jkt request request_uri'.split(
    ' ',
  ),
)

/**
 * The parameters of an authorization request, which is what a pushed request posts (RFC 9126 §2.1). `prompt=consent` is
 * among them when the scope contains `offline_access`, which OpenID Connect Core §11 makes a condition of it, unless
 * the user set `prompt`.
 */
export function authorizationParameters(o: AuthorizationRequest): Readonly<Record<string, string>> {
  const consent = parseScope(o.scope).includes('offline_access')
  return {
    ...(consent && { prompt: 'consent' }),
    ...o.extra,
    response_type: 'code',
    client_id: o.clientId,
    redirect_uri: o.redirectUri,
    state: o.state,
    code_challenge: o.codeChallenge,
    code_challenge_method: 'S256',
    ...given('scope', o.scope),
    ...given('resource', o.resource),
    ...given('dpop_jkt', o.dpopJkt),
  }
}

/**
 * The URL that the user's browser opens. The endpoint's own query is kept (RFC 6749 §3.1); a parameter that is already
 * in it is replaced, not repeated.
 */
export function buildAuthorizationUrl(o: AuthorizationRequest & { readonly endpoint: string }): string {
  return withParameters(o.endpoint, authorizationParameters(o))
}

/** The URL that the user's browser opens after the parameters were pushed (RFC 9126 §4). */
export function buildPushedAuthorizationUrl(endpoint: string, clientId: string, requestUri: string): string {
  return withParameters(endpoint, { client_id: clientId, request_uri: requestUri })
}

/** Works on the text of the query: URLSearchParams would write the server's own part anew. */
function withParameters(endpoint: string, parameters: Readonly<Record<string, string>>): string {
  const url = new URL(endpoint)
  const kept = url.search
    .slice(1)
    .split('&')
    .filter((part) => part !== '' && !isReplaced(part, parameters))
  url.search = [...kept, new URLSearchParams(parameters).toString()].join('&')
  url.hash = ''
  return url.href
}

function isReplaced(part: string, parameters: Readonly<Record<string, string>>): boolean {
  const [name = ''] = new URLSearchParams(part).keys()
  return protocolParameters.has(name) || Object.hasOwn(parameters, name)
}

function given(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined || value === '' ? {} : { [name]: value }
}

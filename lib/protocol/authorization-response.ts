import { OAuthAuthorizationError, quote } from '../errors'
import { resourceHint } from './refusal-hint'

/** The parameters of a callback (RFC 6749 §4.1.2, RFC 9207 §2), as received. */
export interface AuthorizationResponse {
  readonly state?: string
  readonly iss?: string
  readonly code?: string
  readonly error?: string
  readonly errorDescription?: string
}

/** A callback in one of the shapes in which applications get hold of it. */
type Callback =
  | string
  | URL
  | URLSearchParams
  | { readonly code: string; readonly state?: string | null; readonly iss?: string | null }

const single = ['code', 'state', 'iss', 'error']
/** Parameters of flows that nobody asked for: implicit, hybrid and JARM (RFC 9700 §2.1.2). */
const foreign = ['access_token', 'id_token', 'response']
/** Characters; the longest codes in use are encrypted tokens of a few kilobytes. */
const longestCode = 16_384

/**
 * Reads a callback: its URL or path, its query, or its members. Throws `OAUTH_CALLBACK_INVALID` when a parameter that
 * counts occurs more than once (RFC 6749 §3.1), since two parsers may each believe another copy, or when it belongs
 * to another flow.
 */
export function parseAuthorizationResponse(callback: Callback): AuthorizationResponse {
  const query = queryOf(callback)
  const repeated = single.find((name) => query.getAll(name).length > 1)
  if (repeated !== undefined) throw invalid(`has \`${repeated}\` more than once`)
  const unasked = foreign.find((name) => query.has(name))
  if (unasked !== undefined) throw invalid(`has \`${unasked}\`, which nobody asked for`)
  return {
    ...given('state', query.get('state')),
    ...given('iss', query.get('iss')),
    ...given('code', query.get('code')),
    ...given('error', query.get('error')),
    ...given('errorDescription', query.get('error_description')),
  }
}

/**
 * Compares the callback's `iss` with the issuer that the transaction recorded (RFC 9207 §2.4), character by character
 * and before anything else of the callback is believed. Throws `OAUTH_ISSUER_MISMATCH`, also when it is missing
 * although the server's metadata advertises it; no text of the callback but `iss` is in the error.
 */
export function checkIss(
  response: AuthorizationResponse,
  o: { readonly issuer: string; readonly advertised: boolean; readonly trustedIssuers: readonly string[] },
): void {
  const { iss } = response
  if (iss === o.issuer || (iss !== undefined && o.trustedIssuers.includes(iss))) return
  if (iss === undefined && !o.advertised) return
  const [reason, hint] =
    iss === undefined
      ? [
          `the callback has no \`iss\`, although the metadata of ${quote(o.issuer)} announces it`,
          'This is a fault of the authorization server: its metadata says `authorization_response_iss_parameter_supported` and its response lacks `iss`.',
        ]
      : [
          `the callback comes from ${quote(iss)} and not from ${quote(o.issuer)}`,
          'If that issuer answers for this server, list it in the option `trustedIssuers`.',
        ]
  throw new OAuthAuthorizationError(`The sign-in was refused: ${reason}.`, {
    code: 'OAUTH_ISSUER_MISMATCH',
    endpoint: o.issuer,
    hint,
  })
}

/**
 * Gives the code of a callback whose state and `iss` were checked. Throws `OAUTH_AUTHORIZATION_DENIED` with what the
 * server says for an error response (RFC 6749 §4.1.2.1), and `OAUTH_CALLBACK_INVALID` for one with neither code nor
 * error, or with both.
 */
export function readCode(response: AuthorizationResponse): string {
  const { code = '', error, errorDescription } = response
  if (code !== '' && error !== undefined) throw invalid('has both `code` and `error`')
  if (error !== undefined && error !== '') {
    throw new OAuthAuthorizationError(`The authorization server ended the sign-in with ${quote(error)}.`, {
      code: 'OAUTH_AUTHORIZATION_DENIED',
      oauthError: error,
      oauthErrorDescription: errorDescription,
      hint: resourceHint(error, errorDescription),
    })
  }
  if (code === '') throw invalid('has neither `code` nor `error`')
  if (code.length > longestCode) throw invalid(`has a \`code\` of more than ${longestCode} characters`)
  return code
}

/**
 * Makes sure, where no `iss` tells who answered, that code and verifier go to a server related to the one that the
 * user signed in at (RFC 9700 §4.4): the authorization endpoint's host must be, be above or be below the issuer's or
 * the token endpoint's. Throws `OAUTH_ISSUER_MISMATCH`, unless the endpoint is one of `trustedEndpoints`.
 */
export function checkHostRelation(o: {
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly issuer: string
  readonly trustedEndpoints: readonly string[]
}): void {
  if (o.trustedEndpoints.includes(o.authorizationEndpoint)) return
  const { hostname } = new URL(o.authorizationEndpoint)
  const others = [new URL(o.issuer).hostname, new URL(o.tokenEndpoint).hostname]
  if (others.some((other) => isRelated(hostname, other))) return
  throw new OAuthAuthorizationError(
    `The sign-in was refused: the authorization endpoint on ${hostname} is unrelated to the issuer and the token endpoint on ${[...new Set(others)].join(' and ')}, and the callback has no \`iss\`.`,
    {
      code: 'OAUTH_ISSUER_MISMATCH',
      endpoint: o.authorizationEndpoint,
      hint: 'If both belong together, list the authorization endpoint in the option `trustedEndpoints`.',
    },
  )
}

function queryOf(callback: Callback): URLSearchParams {
  if (typeof callback === 'string') return new URLSearchParams(queryText(callback.trim()))
  if (callback instanceof URL) return callback.searchParams
  if (callback instanceof URLSearchParams) return callback
  const members: Record<string, unknown> = { ...(callback as object | null) }
  const given = ['code', 'state', 'iss'].filter((name) => members[name] != null)
  const other = given.find((name) => typeof members[name] !== 'string')
  if (other !== undefined) throw invalid(`has a \`${other}\` that is no text`)
  return new URLSearchParams(given.map((name) => [name, members[name] as string]))
}

/** The query of a URL, of a path, or the text itself when it is a query already; in which a `?` may be part of a value. */
function queryText(callback: string): string {
  const text = callback.split('#', 1)[0] ?? ''
  const [location = '', ...query] = text.split('?')
  const isQuery = location.includes('=') && !/^([a-z][a-z\d+.-]*:|\/)/i.test(location)
  return isQuery ? text : query.join('?')
}

function isRelated(a: string, b: string): boolean {
  return a === b || a.endsWith(`.${b}`) || b.endsWith(`.${a}`)
}

function given<N extends string>(name: N, value: string | null): { readonly [member in N]?: string } {
  return (value === null ? {} : { [name]: value }) as { readonly [member in N]?: string }
}

function invalid(reason: string): OAuthAuthorizationError {
  return new OAuthAuthorizationError(`The callback ${reason}, so that it cannot finish the sign-in.`, {
    code: 'OAUTH_CALLBACK_INVALID',
  })
}

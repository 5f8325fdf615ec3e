import { OAuthTokenError, endpointOf, quote } from '../errors'
import type { JsonObject } from './json'
import { resourceHint } from './refusal-hint'
import { redactSecrets } from './secrets'

/**
 * What a failure at the token endpoint says: `transient`, nothing; `client`, the client is not known or not believed;
 * `rejected`, the presented grant is dead; `unclear`, an answer that may come from something in between, such as a
 * firewall, and that counts as transient until it repeats.
 */
export type TokenFailure = 'transient' | 'client' | 'rejected' | 'unclear'

/** The `error` and `error_description` of an OAuth error response (RFC 6749 §5.2). */
export interface TokenEndpointError {
  readonly error: string
  readonly description?: string
}

/** What is known of an answer without a token. */
export interface FailedAnswer {
  readonly status: number
  readonly endpoint: string
  readonly body: unknown
  /** The error response that the body is, if it is one. */
  readonly oauthError?: TokenEndpointError | undefined
  readonly secrets: readonly string[]
  readonly retryAfter?: number | undefined
  /** What may help when the server refuses, unless its answer tells more. */
  readonly hint?: string | undefined
  /** The same for a refusal of the client. */
  readonly clientHint?: string | undefined
}

const transientErrors = ['server_error', 'temporarily_unavailable']
const transientStatuses = [408, 429]
/** The registered codes that end a grant; a server's private code under a 2xx status is no proof of that. */
const definitiveErrors = [
  ...['invalid_request', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope'],
  ...['invalid_target', 'invalid_dpop_proof'],
]

/** Reads the OAuth error response that a body is; undefined when it has no textual `error`. */
export function readTokenError(document: JsonObject | undefined): TokenEndpointError | undefined {
  const { error, error_description: description } = document ?? {}
  if (typeof error !== 'string' || error === '') return undefined
  return typeof description === 'string' ? { error, description } : { error }
}

/**
 * Says what a failure means. 400 and 401 are definitive whatever their body: servers answer a dead refresh token with
 * `invalid_request`, a private code or nothing.
 */
export function classifyTokenFailure(o: {
  readonly status: number
  readonly oauthError?: string | undefined
  readonly hasOAuthError: boolean
}): TokenFailure {
  const { status, oauthError = '', hasOAuthError } = o
  const definitive = status === 400 || status === 401
  if (status >= 500 || transientStatuses.includes(status)) return 'transient'
  if (!definitive && transientErrors.includes(oauthError)) return 'transient'
  if (oauthError === 'invalid_client') return 'client'
  if (definitive) return 'rejected'
  if (isSuccess(status) && !hasOAuthError) return 'transient'
  const known = status >= 400 ? hasOAuthError : definitiveErrors.includes(oauthError)
  return known ? 'rejected' : 'unclear'
}

/** The error of an answer without a token: `OAUTH_TEMPORARY`, or `OAUTH_TOKEN_ENDPOINT_ERROR` with the server's code. */
export function tokenEndpointError(answer: FailedAnswer): OAuthTokenError {
  const { status, endpoint, oauthError, secrets, retryAfter } = answer
  const failure = classifyTokenFailure({
    status,
    oauthError: oauthError?.error,
    hasOAuthError: oauthError !== undefined,
  })
  const description = oauthError?.description
  const temporary = failure === 'transient' || (failure === 'unclear' && oauthError === undefined)
  return new OAuthTokenError(
    `The token endpoint ${endpointOf(endpoint) ?? ''} answered ${status} ${contentOf(answer)}.`,
    {
      code: temporary ? 'OAUTH_TEMPORARY' : 'OAUTH_TOKEN_ENDPOINT_ERROR',
      retryable: temporary,
      endpoint,
      status,
      retryAfter,
      oauthError: oauthError && redactSecrets(oauthError.error, secrets),
      oauthErrorDescription: description === undefined ? undefined : redactSecrets(description, secrets),
      hint: resourceHint(oauthError?.error, description) ?? (temporary ? undefined : hintOf(answer)),
    },
  )
}

/** Whether a status says that the request succeeded (RFC 9110 §15.3). */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function hintOf({ hint, clientHint, oauthError }: FailedAnswer): string | undefined {
  return hint ?? (oauthError?.error === 'invalid_client' ? clientHint : undefined)
}

function contentOf({ body, oauthError, secrets }: FailedAnswer): string {
  if (oauthError !== undefined) return `with the error ${quote(redactSecrets(oauthError.error, secrets))}`
  if (typeof body !== 'string' || body.trim() === '') return 'without an OAuth error'
  return `without an OAuth error: ${quote(redactSecrets(body, secrets))}`
}

import { OAuthTokenError, endpointOf, quote } from '../errors'
import { parseJsonObject, type JsonObject } from './json'
import { parseExpiresIn } from './lifetime'
import { formatScope, parseScope } from './scope'
import { redactSecrets } from './secrets'
import { isSuccess, readTokenError, tokenEndpointError } from './token-failure'

export { parseRetryAfter } from './retry-after'
export { redactSecrets } from './secrets'
export { classifyTokenFailure, readTokenError, type TokenEndpointError, type TokenFailure } from './token-failure'

/** A successful token response (RFC 6749 §5.1) after its checks. Unknown members are kept. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: 'Bearer' | 'DPoP' | 'N_A'
  /** Seconds, 0 or more; absent: the lifetime is not known. */
  readonly expires_in?: number
  readonly refresh_token?: string
  readonly scope?: string
  readonly id_token?: string
  readonly issued_token_type?: string
  readonly [member: string]: unknown
}

/** An answer of the token endpoint and what was asked of it. */
export interface TokenAnswer {
  readonly status: number
  readonly contentType?: string | undefined
  /** Text, or the object that an adapter has parsed already. */
  readonly body: unknown
  readonly endpoint: string
  /** Whether the request carried a DPoP proof, so that a token bound to its key may come back. */
  readonly proofSent: boolean
  /** Whether a token that is not bound is refused. */
  readonly dpopRequired: boolean
  /** Whether this is a token exchange (RFC 8693), which may issue what is no access token. Default false. */
  readonly exchange?: boolean | undefined
  /** The kind of token that must come back; any other, and an answer that does not say, is refused (RFC 8693 §2.2.1). */
  readonly issuedTokenType?: string | undefined
  /** The user's own reshaping of a successful answer before it is checked. */
  readonly transform?: ((body: unknown) => unknown) | undefined
  /** What was sent and must not be quoted back. */
  readonly secrets?: readonly string[] | undefined
  /** What the server asks to wait, in milliseconds; kept on the error. */
  readonly retryAfter?: number | undefined
  /** What may help when the server refuses, and when it refuses the client. */
  readonly hint?: string | undefined
  readonly clientHint?: string | undefined
}

/** Characters; more than a header of any server takes. */
const longestToken = 65_536

/**
 * Reads the answer of a token endpoint. Throws `OAUTH_TOKEN_ENDPOINT_ERROR` when the server reports an error, whatever
 * the status; `OAUTH_TOKEN_INVALID` when an answer fails the checks, which trying again does not change; and
 * `OAUTH_TEMPORARY`, retryable, when nothing was decided: an outage, or a success that is cut or no object.
 */
export function parseTokenResponse(answer: TokenAnswer): TokenResponse {
  const document = documentOf(answer)
  const oauthError = readTokenError(document)
  if (document === undefined || !isSuccess(answer.status) || (oauthError && !hasMember(document, 'access_token'))) {
    throw tokenEndpointError({ ...answer, oauthError, secrets: answer.secrets ?? [] })
  }
  if (hasMember(document, 'error')) throw invalid(answer, 'has an `error`')
  const { issuedTokenType } = answer
  if (issuedTokenType !== undefined && document.issued_token_type !== issuedTokenType) {
    throw invalid(answer, `has a token of another type than ${issuedTokenType}`)
  }
  return {
    ...withoutStandardMembers(document),
    access_token: accessTokenOf(document, answer),
    token_type: tokenTypeOf(document, answer),
    ...given('expires_in', parseExpiresIn(document.expires_in)),
    ...given('refresh_token', textOf(document.refresh_token)),
    ...given('scope', formatScope(parseScope(document.scope))),
    ...given('id_token', textOf(document.id_token)),
    ...given('issued_token_type', textOf(document.issued_token_type)),
  }
}

/** 204 has no body and 206 only a part of one, whatever comes with them. */
function documentOf(answer: TokenAnswer): JsonObject | undefined {
  const { status, contentType, body, transform } = answer
  if (status === 204 || status === 206) return undefined
  const isForm = mediaType(contentType) === 'application/x-www-form-urlencoded'
  const document = parseJsonObject(body) ?? (isForm ? parseForm(body) : undefined)
  if (!isSuccess(status)) return document
  if (document !== undefined) return transform === undefined ? document : transformed(document, transform, answer)
  if (!isForm && typeof body === 'string' && /^[\s&]*(?:[\w-]+=[^&]*&)*access_token=/.test(body)) {
    throw invalid(answer, 'is a form without saying so in its content type')
  }
  return undefined
}

function mediaType(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase()
}

function parseForm(body: unknown): JsonObject | undefined {
  return typeof body === 'string' ? parseJsonObject(Object.fromEntries(new URLSearchParams(body.trim()))) : undefined
}

function transformed(document: JsonObject, transform: (body: unknown) => unknown, answer: TokenAnswer): JsonObject {
  let result: unknown
  try {
    result = transform({ ...document })
  } catch (cause) {
    throw invalid(answer, 'could not be reshaped: `transformTokenResponse` threw', cause)
  }
  const reshaped = parseJsonObject(result)
  if (reshaped === undefined)
    throw invalid(answer, 'was reshaped by `transformTokenResponse` to something else than an object')
  return reshaped
}

/** RFC 6750 §2.1 allows fewer characters, but opaque tokens in use have others; all of them fit a header. */
function accessTokenOf(document: JsonObject, answer: TokenAnswer): string {
  const { access_token: token } = document
  if (typeof token !== 'string' || token === '') throw invalid(answer, 'has no `access_token`')
  if (token.length > longestToken)
    throw invalid(answer, `has an \`access_token\` of more than ${longestToken} characters`)
  if (!/^[\x21-\x7e]+$/.test(token))
    throw invalid(answer, 'has an `access_token` with characters that no header can carry')
  return token
}

/** A missing type is Bearer, since real servers omit it although RFC 6749 §5.1 requires it. */
function tokenTypeOf(document: JsonObject, answer: TokenAnswer): TokenResponse['token_type'] {
  const { token_type: type = 'Bearer' } = document
  const name = type === '' ? 'bearer' : typeof type === 'string' ? type.toLowerCase() : undefined
  if (name === 'bearer' && !answer.dpopRequired) return 'Bearer'
  if (name === 'dpop' && answer.proofSent) return 'DPoP'
  if (name === 'n_a' && answer.exchange === true) return 'N_A'
  if (name === 'bearer') throw invalid(answer, 'has a token that is not bound to the DPoP key')
  if (name === 'dpop') throw invalid(answer, 'has a DPoP token although no proof was sent')
  const shown = typeof type === 'string' ? quote(redactSecrets(type, answer.secrets ?? [])) : 'that is no text'
  throw invalid(answer, `has a \`token_type\` ${shown}, which cannot be used`)
}

const standardMembers = [
  ...['access_token', 'token_type', 'expires_in', 'refresh_token', 'scope', 'id_token', 'issued_token_type'],
  ...['error', 'error_description', 'error_uri'],
]

function withoutStandardMembers(document: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(document).filter(([name]) => !standardMembers.includes(name)))
}

function hasMember(document: JsonObject, name: string): boolean {
  return document[name] !== undefined && document[name] !== ''
}

/** A text that is worth keeping: `""` counts as absent, and what no server issues is not stored. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= longestToken ? value : undefined
}

function given<N extends string, V>(name: N, value: V | undefined): { readonly [member in N]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [member in N]?: V }
}

function invalid({ endpoint, status }: TokenAnswer, reason: string, cause?: unknown): OAuthTokenError {
  return new OAuthTokenError(`The answer of the token endpoint ${endpointOf(endpoint) ?? ''} ${reason}.`, {
    code: 'OAUTH_TOKEN_INVALID',
    endpoint,
    status,
    cause,
  })
}

/**
 * Every stable reason for a rejection of this library. Codes never change within a major version; match on them and
 * never on a message. The README says for each what to do.
 */
export type OAuthErrorCode =
  | 'OAUTH_DISCOVERY_FAILED'
  | 'OAUTH_RESOURCE_MISMATCH'
  | 'OAUTH_ISSUER_MISMATCH'
  | 'OAUTH_URL_FORBIDDEN'
  | 'OAUTH_METADATA_INVALID'
  | 'OAUTH_RESPONSE_TOO_LARGE'
  | 'OAUTH_TIMEOUT'
  | 'OAUTH_REDIRECT_REFUSED'
  | 'OAUTH_PKCE_UNSUPPORTED'
  | 'OAUTH_REGISTRATION_FAILED'
  | 'OAUTH_CLIENT_EXPIRED'
  | 'OAUTH_STATE_MISMATCH'
  | 'OAUTH_CALLBACK_INVALID'
  | 'OAUTH_CALLBACK_TIMEOUT'
  | 'OAUTH_AUTHORIZATION_DENIED'
  | 'OAUTH_TOKEN_INVALID'
  | 'OAUTH_TOKEN_ENDPOINT_ERROR'
  | 'OAUTH_TEMPORARY'
  | 'OAUTH_AUTHORIZATION_REQUIRED'
  | 'OAUTH_REAUTH_REQUIRED'
  | 'OAUTH_AS_CHANGED'
  | 'OAUTH_SCOPE_DENIED'
  | 'OAUTH_LOOP'
  | 'OAUTH_NOT_REPLAYABLE'
  | 'OAUTH_CONFLICT'
  | 'OAUTH_STORE_READ'
  | 'OAUTH_STORE_WRITE'
  | 'OAUTH_STORE_CORRUPT'
  | 'OAUTH_STORE_INSECURE'
  | 'OAUTH_STORE_LOCK'
  | 'OAUTH_ABORTED'
  | 'OAUTH_DPOP_NONCE'
  | 'OAUTH_DPOP_UNSUPPORTED'

/** The step of the flow in which a failure happened. */
export type OAuthPhase = 'discovery' | 'registration' | 'authorization' | 'token' | 'scope' | 'request' | 'storage'

/** What an {@link OAuthFlowError} is made of. */
export interface OAuthErrorDetails {
  readonly code: OAuthErrorCode
  readonly phase?: OAuthPhase
  /** Whether the same call may succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean
  /** The URL that was asked; only its origin and path are kept. */
  readonly endpoint?: string | undefined
  readonly status?: number | undefined
  readonly hint?: string | undefined
  /** The `error` member of an OAuth error response; dropped unless it fits the character set of RFC 6749 §5.2. */
  readonly oauthError?: string | undefined
  readonly oauthErrorDescription?: string | undefined
  /** Milliseconds to wait before trying again, as the server asked. */
  readonly retryAfter?: number | undefined
  /** The scope that the operation needs, for failures of phase `scope`. */
  readonly requiredScope?: string | undefined
  readonly cause?: unknown
  readonly authorizationUrl?: string | undefined
  readonly state?: string | undefined
}

const brand = Symbol.for('axios-oauth2.error')
const maxText = 1024

/** C0 and C1 controls, line and paragraph separators, and what changes the direction of text. */
const unprintable =
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g

/**
 * Writes text of a server so that it can stand in a message: quoted, on one line, without control or bidirectional
 * characters, cut at 200 characters.
 */
export function quote(text: unknown): string {
  return JSON.stringify(cleanText(String(text), 200))
}

/** Removes control, line-separator and bidirectional characters and cuts at `max` characters. */
export function cleanText(text: string, max: number = maxText): string {
  const clean = text.slice(0, max + 1).replace(unprintable, ' ')
  return clean.length > max ? `${clean.slice(0, max - 1)}…` : clean
}

/** Origin and path of a URL, which is all that errors and events may show of it; undefined for what is no URL. */
export function endpointOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { origin, protocol, host, pathname } = new URL(url)
  return `${origin === 'null' ? `${protocol}//${host}` : origin}${pathname}`.slice(0, maxText)
}

/**
 * What every rejection of this library is: a `code` to match on, the `phase` it happened in, whether it is `retryable`,
 * where (`endpoint`, `status`), what the server said (`oauthError`, `oauthErrorDescription`) and what to do (`hint`).
 * No secret is in any rendering of it.
 */
export class OAuthFlowError extends Error {
  readonly code: OAuthErrorCode
  readonly phase: OAuthPhase
  readonly retryable: boolean
  readonly endpoint?: string
  readonly status?: number
  readonly hint?: string
  readonly oauthError?: string
  readonly oauthErrorDescription?: string
  readonly retryAfter?: number
  readonly requiredScope?: string
  readonly #authorizationUrl: string | undefined
  readonly #state: string | undefined
  #response: unknown

  constructor(message: string, details: OAuthErrorDetails) {
    super(cleanText(message), details.cause === undefined ? undefined : { cause: safeCause(details.cause) })
    this.code = details.code
    this.phase = details.phase ?? 'request'
    this.retryable = details.retryable ?? false
    const endpoint = endpointOf(details.endpoint)
    if (endpoint !== undefined) this.endpoint = endpoint
    if (details.status !== undefined) this.status = details.status
    if (details.hint !== undefined) this.hint = cleanText(details.hint)
    // RFC 6749 §5.2: error codes are %x20-21 / %x23-5B / %x5D-7E.
    if (details.oauthError !== undefined && /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(details.oauthError)) {
      this.oauthError = details.oauthError
    }
    if (details.oauthErrorDescription !== undefined)
      this.oauthErrorDescription = cleanText(details.oauthErrorDescription)
    if (details.retryAfter !== undefined) this.retryAfter = details.retryAfter
    if (details.requiredScope !== undefined) this.requiredScope = details.requiredScope
    this.#authorizationUrl = details.authorizationUrl
    this.#state = details.state
    Object.defineProperty(this, 'name', { value: new.target.errorName, configurable: true })
    Object.defineProperty(this, brand, { value: new.target.lineage() })
  }

  /** The class name, kept through minification. */
  static readonly errorName: string = 'OAuthFlowError'

  /** The URL at which a person can sign in, on errors that say that a person is needed; in no rendering. */
  get authorizationUrl(): string | undefined {
    return this.#authorizationUrl
  }

  /** The `state` of the started transaction that {@link authorizationUrl} belongs to; in no rendering. */
  get state(): string | undefined {
    return this.#state
  }

  /** The redacted response (401 or 403) that made the flow necessary, where there was one; in no rendering. */
  get response(): unknown {
    return this.#response
  }

  /** @internal The same failure for one request, with the redacted response behind it. */
  static withResponse(error: OAuthFlowError, response: unknown): OAuthFlowError {
    if (!(#response in error)) return error
    const Class = error.constructor as typeof OAuthFlowError
    const { authorizationUrl, state, cause, stack } = error
    const copy = new Class(error.message, { ...error, authorizationUrl, state, cause })
    copy.#response = response
    if (stack !== undefined) copy.stack = stack
    return copy
  }

  /** What `JSON.stringify` shows: the public members, never a secret. */
  toJSON(): Record<string, unknown> {
    return { name: this.name, message: this.message, ...Object.fromEntries(Object.entries(this)) }
  }

  /** Recognises errors of every copy and build of this library. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false
    const names = (value as Record<symbol, unknown>)[brand]
    return Array.isArray(names) && names.includes(this.errorName)
  }

  /** @internal The class names from this class up to {@link OAuthFlowError}. */
  static lineage(): readonly string[] {
    return this.errorName === 'OAuthFlowError' ? ['OAuthFlowError'] : [this.errorName, 'OAuthFlowError']
  }
}

/** Discovery failed: the challenge, the resource metadata or the authorization-server metadata. */
export class OAuthDiscoveryError extends OAuthFlowError {
  static override readonly errorName: string = 'OAuthDiscoveryError'
  constructor(message: string, details: OAuthErrorDetails) {
    super(message, { phase: 'discovery', ...details })
  }
}

/** The client could not be made known at the authorization server. */
export class OAuthRegistrationError extends OAuthFlowError {
  static override readonly errorName: string = 'OAuthRegistrationError'
  constructor(message: string, details: OAuthErrorDetails) {
    super(message, { phase: 'registration', ...details })
  }
}

/** Signing in failed, was denied, or is needed and nobody can be asked. */
export class OAuthAuthorizationError extends OAuthFlowError {
  static override readonly errorName: string = 'OAuthAuthorizationError'
  constructor(message: string, details: OAuthErrorDetails) {
    super(message, { phase: 'authorization', ...details })
  }
}

/** The token endpoint refused, or answered something that is no token. */
export class OAuthTokenError extends OAuthFlowError {
  static override readonly errorName: string = 'OAuthTokenError'
  constructor(message: string, details: OAuthErrorDetails) {
    super(message, { phase: 'token', ...details })
  }
}

/** The granted scope does not suffice and could not be widened. */
export class OAuthScopeError extends OAuthFlowError {
  static override readonly errorName: string = 'OAuthScopeError'
  constructor(message: string, details: OAuthErrorDetails) {
    super(message, { phase: 'scope', ...details })
  }
}

/** Whether a caught value is an error of this library, of whichever copy or build. */
export function isOAuthFlowError(value: unknown): value is OAuthFlowError {
  return value instanceof OAuthFlowError
}

/**
 * What may be kept of a foreign error as `cause`: our own errors as they are, of others only name and code. An
 * AxiosError holds the whole request, a SyntaxError of JSON.parse quotes its input, a Redis error its arguments.
 */
function safeCause(cause: unknown): unknown {
  if (isOAuthFlowError(cause)) return cause
  if (typeof cause !== 'object' || cause === null) return undefined
  const { name, code } = cause as { name?: unknown; code?: unknown }
  const safe = new Error(typeof code === 'string' ? cleanText(code, 60) : 'failed')
  safe.name = typeof name === 'string' ? cleanText(name, 60) : 'Error'
  if (typeof code === 'string') Object.assign(safe, { code: cleanText(code, 60) })
  delete (safe as { stack?: string }).stack
  return safe
}

import { Axios, isAxiosError, type AxiosRequestConfig, type AxiosResponse } from 'axios'
import { withDeadline } from './deadline'
import {
  OAuthDiscoveryError,
  OAuthRegistrationError,
  OAuthTokenError,
  OAuthFlowError,
  isOAuthFlowError,
} from './errors'
import type { OAuthErrorCode, OAuthErrorDetails, OAuthPhase } from './errors'
import { parseRetryAfter } from './protocol/token'

/** What our own requests take from the attached instance, read at the time of the call. */
export type Transport = Pick<AxiosRequestConfig, 'adapter' | 'httpAgent' | 'httpsAgent' | 'proxy'>

export interface HttpRequest {
  readonly phase: OAuthPhase
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Milliseconds for headers and body together; at most the configured deadline. */
  readonly within?: number
}

export interface HttpResponse {
  readonly url: string
  readonly status: number
  /** Text, or the object that an adapter (a mock) had parsed already. */
  readonly body: unknown
  readonly header: (name: string) => string | undefined
}

/** Bytes of a response body, counted after decompression. */
const maxResponseBytes = 512 * 1024

/**
 * The only I/O on our own behalf: a bare axios without the application's interceptors, defaults, cookies and params.
 * It follows no redirect, reads at most 512 KB and has one deadline over headers and body.
 */
export class Http {
  readonly #transport: () => Transport
  readonly #deadline: number

  /** `deadline`: milliseconds per request. */
  constructor(o: { transport: () => Transport; deadline: number }) {
    this.#transport = o.transport
    this.#deadline = o.deadline
  }

  /**
   * Sends one request and gives the response whatever its status, redirects excepted (`OAUTH_REDIRECT_REFUSED`).
   * Without a response: `OAUTH_TEMPORARY` or `OAUTH_TIMEOUT`, both retryable; `OAUTH_RESPONSE_TOO_LARGE`; a failed
   * certificate check is an error of the phase and not retryable.
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const within = Math.max(1, Math.min(this.#deadline, request.within ?? this.#deadline))
    let response: AxiosResponse<unknown>
    try {
      response = await withDeadline((signal) => this.#request(request, signal), within, 'waiting for an answer')
    } catch (error) {
      throw transportFailure(error, request)
    }
    refuseRedirect(response, request)
    refuseUnreadable(response, request)
    const { status, data, headers } = response
    return { url: request.url, status, body: data, header: (name) => headerOf(headers, name) }
  }

  #request(request: HttpRequest, signal: AbortSignal): Promise<AxiosResponse<unknown>> {
    const { adapter, proxy, ...agents } = this.#transport()
    return new Axios({}).request({
      ...definedOnly({ adapter, proxy, ...agents }),
      method: request.method,
      url: request.url,
      headers: { ...request.headers },
      ...definedOnly({ data: request.body }),
      signal,
      baseURL: '',
      allowAbsoluteUrls: true,
      params: {},
      timeout: 0,
      maxRedirects: 0,
      maxContentLength: maxResponseBytes,
      maxBodyLength: maxResponseBytes,
      responseType: 'text',
      transformRequest: [(data: unknown) => data],
      transformResponse: [(data: unknown) => data],
      validateStatus: () => true,
      xsrfCookieName: '',
      withCredentials: false,
      fetchOptions: { redirect: 'manual', credentials: 'omit' },
    })
  }
}

/** What a discovery answer proves (THREATS §2): used for every phase that must tell an outage from a refusal. */
export function isTransientStatus(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429
}

/** Milliseconds that a server asks to wait; some say it in a header of their own. */
export function retryAfterOf({ header }: HttpResponse, now: number): number | undefined {
  return parseRetryAfter(header('retry-after') ?? header('x-retry-after'), now)
}

/** A response header without regard to case, in whatever shape and value an adapter keeps the headers. */
export function rawHeader(headers: unknown, name: string): unknown {
  // A mock may answer without headers.
  const lookup = (headers ?? {}) as { get?: (name: string) => unknown } & Record<string, unknown>
  if (typeof lookup.get === 'function') return lookup.get(name)
  return Object.entries(lookup).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1]
}

function headerOf(headers: unknown, name: string): string | undefined {
  const value = rawHeader(headers, name)
  if (value === undefined || value === null) return undefined
  return Array.isArray(value) ? value.join(', ') : `${value as string | number}`
}

function refuseRedirect(response: AxiosResponse, { url, phase }: HttpRequest): void {
  const redirected = response.status >= 300 && response.status < 400 && response.status !== 304
  const opaque = response.status === 0
  if (!redirected && !opaque && !movedSilently(response.request, url)) return
  const target = headerOf(response.headers, 'location')
  const host = target !== undefined && URL.canParse(target, url) ? new URL(target, url).host : 'another location'
  throw failure(phase, `${new URL(url).host} redirects to ${host}, which is never followed.`, {
    code: 'OAUTH_REDIRECT_REFUSED',
    endpoint: url,
    status: response.status,
    hint: 'Configure or publish the final URL.',
  })
}

/** Whether an adapter that follows redirects by itself (XHR) ended at another URL than the one asked for. */
function movedSilently(request: unknown, url: string): boolean {
  const final = (request as { responseURL?: unknown } | null | undefined)?.responseURL
  return (
    typeof final === 'string' && final !== '' && URL.canParse(final) && new URL(final).href !== withoutFragment(url)
  )
}

function withoutFragment(url: string): string {
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}

function refuseUnreadable(response: AxiosResponse<unknown>, { url, phase }: HttpRequest): void {
  if (typeof response.data === 'string' && response.data.length > maxResponseBytes) throw tooLarge(phase, url)
  // Some adapters leave the header in place when they have decoded the body; none decodes an unknown encoding or several.
  const encoding = headerOf(response.headers, 'content-encoding')?.trim().toLowerCase() ?? ''
  if (encoding !== '' && !decodable.has(encoding)) {
    throw failure(phase, `The answer of ${new URL(url).host} uses an encoding that cannot be decoded.`, {
      code: 'OAUTH_METADATA_INVALID',
      endpoint: url,
      status: response.status,
    })
  }
}

const decodable: ReadonlySet<string> = new Set('identity gzip x-gzip deflate compress x-compress br zstd'.split(' '))

function transportFailure(error: unknown, { url, phase }: HttpRequest): OAuthFlowError {
  const host = new URL(url).host
  if (isOAuthFlowError(error)) {
    const late = error.code === 'OAUTH_TIMEOUT' ? `${host} did not finish its answer in time.` : error.message
    return failure(phase, late, { code: error.code, retryable: error.retryable, endpoint: url })
  }
  const code = errorCode(error)
  if (isAxiosError(error) && /maxContentLength|too large/i.test(error.message)) return tooLarge(phase, url)
  if (alertCodes.test(code)) {
    return failure(phase, `${host} refused the TLS connection (${code}).`, {
      code: refusalCodes[phase] ?? 'OAUTH_DISCOVERY_FAILED',
      endpoint: url,
      hint: 'If it wants a client certificate, set `cert` and `key` of the httpsAgent of the axios instance.',
      cause: error,
    })
  }
  if (tlsCodes.test(code)) {
    return failure(phase, `The certificate of ${host} was refused (${code}).`, {
      code: refusalCodes[phase] ?? 'OAUTH_DISCOVERY_FAILED',
      endpoint: url,
      hint: 'Add your private CA to the httpsAgent of the axios instance; never turn the check off.',
      cause: error,
    })
  }
  return failure(
    phase,
    `${host} could not be reached or cut the connection (${code === '' ? 'network error' : code}).`,
    {
      code: 'OAUTH_TEMPORARY',
      retryable: true,
      endpoint: url,
      cause: error,
    },
  )
}

/** What the server says of the handshake, such as that it wants a certificate (RFC 8446 §6.2). */
const alertCodes = /^ERR_SSL_\w*ALERT_/
const tlsCodes = /^(ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO|ERR_SSL_)/
const refusalCodes: Partial<Record<OAuthPhase, OAuthErrorCode>> = {
  registration: 'OAUTH_REGISTRATION_FAILED',
  token: 'OAUTH_TOKEN_ENDPOINT_ERROR',
}

function errorCode(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  const inner = typeof cause?.code === 'string' ? cause.code : undefined
  return inner ?? (typeof code === 'string' ? code : '')
}

function tooLarge(phase: OAuthPhase, url: string): OAuthFlowError {
  return failure(phase, `The answer of ${new URL(url).host} is larger than ${maxResponseBytes / 1024} KB.`, {
    code: 'OAUTH_RESPONSE_TOO_LARGE',
    endpoint: url,
  })
}

/** An error of the class that belongs to the phase. */
export function failure(phase: OAuthPhase, message: string, details: OAuthErrorDetails): OAuthFlowError {
  const Class = phaseErrors[phase] ?? OAuthFlowError
  return new Class(message, { ...details, phase })
}

const phaseErrors: Partial<Record<OAuthPhase, typeof OAuthFlowError>> = {
  discovery: OAuthDiscoveryError,
  registration: OAuthRegistrationError,
  token: OAuthTokenError,
}

function definedOnly<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>
}

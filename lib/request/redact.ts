import { isAxiosError, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios'
import { isOAuthFlowError } from '../errors'

/** What is left of a sent request: where it went. */
interface RequestSummary {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly host: string | undefined
  readonly protocol: string | undefined
  readonly res: { readonly responseUrl: string | undefined }
}

/**
 * Takes our credentials out of what the application is handed: the sent request object, which holds its headers, is
 * replaced by a summary, and streams that lead to it no longer show it. The config has been restored by the adapter.
 * Idempotent.
 */
export function redactResponse(response: AxiosResponse<unknown>): AxiosResponse {
  // An interceptor before ours may have put anything in the place of the response, which is not ours to change.
  if (!isObject(response) || !isObject(response.config) || typeof response.status !== 'number') return response
  const { data, config } = response as AxiosResponse<unknown> & { config?: InternalAxiosRequestConfig<unknown> }
  const request: unknown = response.request
  if (holdsHeaders(request)) response.request = summarize(request)
  if (isObject(data) && holdsHeaders(data.req)) renderPlainly(data)
  if (isObject(data)) redactFailures(data)
  if (isObject(config?.data) && config.data.readableEnded === true) unpipe(config.data)
  return response
}

/** The same for what a request rejects with. */
export function redactError<E>(error: E): E {
  if (isOAuthFlowError(error) || !isAxiosError(error)) return error
  const request: unknown = error.request
  if (holdsHeaders(request)) error.request = summarize(request)
  if (error.response !== undefined) redactResponse(error.response)
  else if (isObject(error.config?.data)) unpipe(error.config.data)
  return error
}

/** A response of Node is the stream of its body and leads to the request: `util.inspect` shows status and headers only. */
function renderPlainly(stream: Record<PropertyKey, unknown>): void {
  const { statusCode, headers } = stream
  const value = (_depth: number, options: object, inspect?: (value: unknown, options: object) => string): unknown =>
    inspect === undefined ? 'IncomingMessage' : `IncomingMessage ${inspect({ statusCode, headers }, options)}`
  Object.defineProperty(stream, Symbol.for('nodejs.util.inspect.custom'), { value, configurable: true })
}

/** A stream of Node fails after the response was handed over, with an error of axios that leads to the request. */
function redactFailures(stream: Record<PropertyKey, unknown>): void {
  const { errorMonitor } = stream.constructor as { errorMonitor?: symbol }
  const { on } = stream as { on?: (event: symbol, listener: (error: unknown) => void) => void }
  if (errorMonitor !== undefined && typeof on === 'function') on.call(stream, errorMonitor, redactError)
}

/** A body that was sent as a stream is still tied to the request it went into. */
function unpipe(stream: Record<PropertyKey, unknown>): void {
  const { unpipe: release, _readableState: state } = stream as {
    unpipe?: (target: unknown) => void
    _readableState?: { pipes?: unknown }
  }
  if (typeof release !== 'function') return
  // The caller may be piping it elsewhere as well.
  for (const target of [state?.pipes ?? []].flat()) if (holdsHeaders(target)) release.call(stream, target)
}

/** Whether this is a request of Node's HTTP client or of fetch; a summary and an XMLHttpRequest are not. */
function holdsHeaders(request: unknown): request is Record<PropertyKey, unknown> {
  if (!isObject(request)) return false
  const { getHeader, _options, _currentRequest, headers, url } = request
  const node = typeof getHeader === 'function' || _options !== undefined || _currentRequest !== undefined
  return node || (typeof url === 'string' && typeof headers === 'object')
}

function summarize(request: Record<PropertyKey, unknown>): RequestSummary {
  const { method, path, host, protocol, url } = request
  const res = request.res as { responseUrl?: unknown } | undefined
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  return {
    method: text(method),
    path: text(path),
    host: text(host),
    protocol: text(protocol),
    res: { responseUrl: text(res?.responseUrl) ?? text(url) },
  }
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null
}

import { isAxiosError, type AxiosResponse } from 'axios'
import { isOAuthFlowError } from './errors'

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
 * replaced by a summary. The config has been restored by the adapter. Idempotent.
 */
export function redactResponse(response: AxiosResponse): AxiosResponse {
  const request: unknown = response.request
  if (holdsHeaders(request)) response.request = summarize(request)
  return response
}

/** The same for what a request rejects with. */
export function redactError<E>(error: E): E {
  if (isOAuthFlowError(error) || !isAxiosError(error)) return error
  const request: unknown = error.request
  if (holdsHeaders(request)) error.request = summarize(request)
  if (error.response !== undefined) redactResponse(error.response)
  return error
}

/** Whether this is a request of Node's HTTP client or of fetch; a summary and an XMLHttpRequest are not. */
function holdsHeaders(request: unknown): request is Record<string, unknown> {
  if (typeof request !== 'object' || request === null) return false
  const { getHeader, _options, _currentRequest, headers, url } = request as Record<string, unknown>
  const node = typeof getHeader === 'function' || _options !== undefined || _currentRequest !== undefined
  return node || (typeof url === 'string' && typeof headers === 'object')
}

function summarize(request: Record<string, unknown>): RequestSummary {
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

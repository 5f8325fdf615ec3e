import type { AxiosResponse } from 'axios'
import { isOAuthFlowError, type OAuthFlowError } from '../errors'
import { redactError, redactResponse } from './redact'

/** What one sending came to: a response, with the error that axios made of it if it did, or only an error. */
export interface Outcome {
  readonly response?: AxiosResponse
  readonly error?: Error
}

/** An answer, with the error that axios made of it if it did. */
export interface Answered {
  readonly response: AxiosResponse
  readonly error: Error | undefined
}

/** Ends the request with an outcome, without our credentials. */
export function deliver({ response, error }: Outcome): AxiosResponse {
  if (error !== undefined) throw redactError((response === undefined && ownFailureWithin(error)) || error)
  return redactResponse(response as AxiosResponse)
}

/** A redirect that the policy refused arrives wrapped in the errors of the HTTP client. */
function ownFailureWithin(error: unknown): OAuthFlowError | undefined {
  let inner: unknown = error
  for (let depth = 0; depth < 5 && typeof inner === 'object' && inner !== null; depth += 1) {
    if (isOAuthFlowError(inner)) return inner
    inner = (inner as { cause?: unknown }).cause
  }
  return undefined
}

/** Frees the socket of an answer that nobody will read. */
export function discard({ data }: Pick<AxiosResponse<unknown>, 'data'>): void {
  if (typeof data !== 'object' || data === null) return
  const { destroy, cancel } = data as { destroy?: () => void; cancel?: () => Promise<void> }
  if (typeof destroy === 'function') destroy.call(data)
  else if (typeof cancel === 'function') cancel.call(data).catch(() => undefined)
}

/** Where an answer came from after redirects, if the adapter tells. */
export function answeringUrl({ request }: AxiosResponse): string | undefined {
  const { res, responseURL } = (request ?? {}) as { res?: { responseUrl?: unknown }; responseURL?: unknown }
  const url = res?.responseUrl ?? responseURL
  return typeof url === 'string' && URL.canParse(url) ? url : undefined
}

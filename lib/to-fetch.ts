import { CanceledError, type AxiosInstance, type AxiosRequestConfig, type AxiosResponse } from 'axios'
import { discard } from './request/outcome'

const withoutBody: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

/**
 * Hands an axios instance over as a `fetch`, for libraries that take one, such as the official MCP client: requests go
 * through the instance, its interceptors and its token. Every status resolves; a failed sign-in rejects with the
 * `OAuthFlowError`, an abort with an `AbortError`.
 */
export function toFetch(instance: AxiosInstance): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, withDuplex(init))
    try {
      const response = await instance.request<unknown>(await toConfig(request, init))
      if (request.redirect === 'error' && isRedirect(response)) throw redirected(response)
      return toResponse(response)
    } catch (error) {
      if (error instanceof CanceledError || request.signal.aborted) throw abortReason(request.signal)
      throw error
    }
  }
}

/** Standard fetch wants `duplex` for a streaming body. */
function withDuplex(init: RequestInit | undefined): RequestInit | undefined {
  return init?.body instanceof ReadableStream ? ({ duplex: 'half', ...init } as RequestInit) : init
}

async function toConfig(request: Request, init: RequestInit | undefined): Promise<AxiosRequestConfig> {
  const streaming = init?.body instanceof ReadableStream
  const data: unknown = request.body === null ? undefined : streaming ? request.body : await request.arrayBuffer()
  return {
    url: request.url,
    baseURL: '',
    allowAbsoluteUrls: true,
    method: request.method,
    headers: Object.fromEntries(request.headers),
    ...(data === undefined ? {} : { data }),
    responseType: 'stream',
    transformRequest: [(body: unknown) => body],
    transformResponse: [(body: unknown) => body],
    validateStatus: () => true,
    signal: request.signal,
    ...(request.redirect === 'follow' ? {} : { maxRedirects: 0 }),
  }
}

function toResponse(response: AxiosResponse<unknown>): Response {
  const { status, statusText, data } = response
  const headers = new Headers()
  for (const [name, value] of Object.entries((response.headers as object | undefined) ?? {})) {
    for (const line of Array.isArray(value) ? value : [value]) {
      if (line !== undefined && line !== null) headers.append(name, String(line))
    }
  }
  const empty = withoutBody.has(status)
  // A stream that nobody reads to its end, empty or not, keeps its socket.
  if (empty) discard(response)
  return new Response(empty ? null : toBody(data), { status, statusText, headers })
}

function isRedirect({ status, headers }: AxiosResponse): boolean {
  return status >= 300 && status < 400 && 'location' in headers
}

function redirected(response: AxiosResponse): TypeError {
  discard(response)
  return new TypeError('The answer is a redirect, which `redirect: "error"` refuses.')
}

/** Web streams and text as they are; a Node stream, which is async iterable, as a web stream. */
function toBody(data: unknown): BodyInit | null {
  if (data === undefined || data === null) return null
  if (typeof data === 'string' || data instanceof ReadableStream || data instanceof Blob) return data
  if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer) return data as Uint8Array<ArrayBuffer> | ArrayBuffer
  return isAsyncIterable(data) ? streamOf(data) : JSON.stringify(data)
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function streamOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const next = await iterator.next()
      if (next.done === true) controller.close()
      else controller.enqueue(new Uint8Array(next.value))
    },
    cancel() {
      // The iterator would wait for the chunk it has been asked for.
      discard({ data: source })
    },
  })
}

function abortReason(signal: AbortSignal): unknown {
  return signal.aborted ? (signal.reason as unknown) : new DOMException('The request was aborted.', 'AbortError')
}

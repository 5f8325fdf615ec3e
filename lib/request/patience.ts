import { AxiosError, CanceledError, type InternalAxiosRequestConfig } from 'axios'
import type { Attachment } from './attachment'

/** How long one request waits: its own `signal`, `cancelToken` and `timeout`, and the provider's detaching. */
export interface Patience {
  /** Aborts with what the request must reject with. */
  readonly signal: AbortSignal
  /** Releases timer and listeners. */
  end(): void
}

/** The patience of a request that has begun to wait. The attachment's end is the end of it. */
export function patienceOf(config: InternalAxiosRequestConfig, attachment: Attachment): Patience {
  const controller = new AbortController()
  const ends: (() => void)[] = []
  const end = (): void => {
    for (const stop of ends.splice(0)) stop()
  }
  const giveUp = (reason: unknown): void => {
    end()
    controller.abort(reason)
  }
  const { signal, cancelToken, timeout } = config
  if (signal?.aborted === true) giveUp(canceled(config))
  else if (signal !== undefined) {
    const onAbort = (): void => giveUp(canceled(config))
    signal.addEventListener?.('abort', onAbort)
    ends.push(() => {
      signal.removeEventListener?.('abort', onAbort)
    })
  }
  if (cancelToken !== undefined) {
    // What axios's promise gives can be cancelled: a token that lives longer must not keep every request.
    const waiting = cancelToken.promise.then(giveUp) as Promise<void> & { cancel?: () => void }
    ends.push(() => waiting.cancel?.())
  }
  ends.push(attachment.onEnd(giveUp))
  if (timeout !== undefined && timeout > 0) {
    const timer = setTimeout(() => giveUp(timedOut(config, timeout)), Math.min(timeout, 2 ** 31 - 1))
    ends.push(() => clearTimeout(timer))
  }
  return { signal: controller.signal, end }
}

function canceled(config: InternalAxiosRequestConfig): CanceledError<unknown> {
  return new CanceledError(undefined, config)
}

/** What axios itself rejects with when its timeout has passed. */
function timedOut(config: InternalAxiosRequestConfig, timeout: number): AxiosError {
  const message = config.timeoutErrorMessage ?? `timeout of ${timeout}ms exceeded`
  const code = config.transitional?.clarifyTimeoutError === true ? AxiosError.ETIMEDOUT : AxiosError.ECONNABORTED
  return new AxiosError(message, code, config)
}

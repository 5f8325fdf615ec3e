import { OAuthFlowError } from './errors'

/**
 * Settles like `work()`, or rejects with a retryable `OAUTH_TIMEOUT` after `ms` milliseconds. The timer bounds work
 * under way and is cleared when that settles. The signal handed to the work aborts at the deadline.
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T> | T,
  ms: number,
  doing: string,
): Promise<T> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(timeout(doing, ms))
      controller.abort()
    }, ms)
  })
  try {
    return await Promise.race([(async () => work(controller.signal))(), deadline])
  } finally {
    clearTimeout(timer)
  }
}

function timeout(doing: string, ms: number): OAuthFlowError {
  return new OAuthFlowError(`Gave up ${doing} after ${ms} ms.`, { code: 'OAUTH_TIMEOUT', retryable: true })
}

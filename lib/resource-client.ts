import type { AxiosResponse } from 'axios'
import { unlessAborted } from './mutex'
import { ProtectedUrls } from './protected-urls'
import { redirectPolicy, type BeforeRedirect } from './redirects'
import { StepUp } from './step-up'
import type { TokenSource } from './token-source'
import { bearer } from './token-types/bearer'
import type { TokenType } from './token-types/token-type'

/** What the adapter needs of a provider: where tokens come from, where they may go, and how they are presented. */
export class ResourceClient {
  readonly source: TokenSource
  readonly urls: ProtectedUrls
  readonly stepUp: StepUp
  readonly tokenType: TokenType = bearer
  readonly redirectPolicy: BeforeRedirect

  constructor(source: TokenSource) {
    this.source = source
    this.urls = new ProtectedUrls(source.context)
    this.stepUp = new StepUp(source)
    this.redirectPolicy = redirectPolicy(this.urls)
  }

  /** Whether the user's hook takes an answer for a refused token; a hook that throws says no. */
  isUnauthorized(response: AxiosResponse): boolean {
    const { isUnauthorized } = this.source.context.settings
    if (isUnauthorized === undefined) return false
    try {
      return isUnauthorized(response)
    } catch {
      return false
    }
  }

  waitFor<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    return unlessAborted(promise, signal)
  }
}

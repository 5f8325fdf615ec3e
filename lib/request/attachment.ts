import type { AxiosInstance } from 'axios'
import { OAuthFlowError } from '../errors'

/** The time in which a provider is attached to an instance: what waits during it can be told that it is over. */
export class Attachment {
  readonly instance: AxiosInstance
  readonly #waiting = new Set<(reason: OAuthFlowError) => void>()
  #ended: OAuthFlowError | undefined

  constructor(instance: AxiosInstance) {
    this.instance = instance
  }

  /** Calls back when the attachment ends, at once when it has; the function returned stops waiting. */
  onEnd(giveUp: (reason: OAuthFlowError) => void): () => void {
    if (this.#ended !== undefined) giveUp(this.#ended)
    this.#waiting.add(giveUp)
    return () => this.#waiting.delete(giveUp)
  }

  /** Ends it: everything that waits for a token rejects with `OAUTH_ABORTED`. */
  end(): void {
    this.#ended = new OAuthFlowError(
      'The provider was detached from the axios instance while the request waited for a token.',
      { code: 'OAUTH_ABORTED' },
    )
    for (const giveUp of [...this.#waiting]) giveUp(this.#ended)
  }
}

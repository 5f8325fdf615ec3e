import type { DpopKey, ProofSettings } from './dpop-key'
import { DpopNonces } from './dpop-nonces'

/** Makes the proofs for servers of one kind, with the newest nonce of each (RFC 9449 §8 and §9). */
export class DpopProofs {
  readonly #settings: ProofSettings
  readonly #nonces = new DpopNonces()

  constructor(settings: ProofSettings) {
    this.#settings = settings
  }

  /** A proof for one sending. */
  make(key: DpopKey, o: { method: string; url: string; accessToken?: string }): Promise<string> {
    return key.proof({ ...o, nonce: this.#nonces.newest(o.url) }, this.#settings)
  }

  /** Remembers the nonce of a response, whatever its status. */
  note(url: string, header: unknown): void {
    this.#nonces.note(url, header)
  }
}

import { readNonce } from '../protocol/dpop'

/** Origins whose nonce is remembered; the one unused for the longest time is forgotten first. */
const rememberedOrigins = 100

/**
 * The newest nonce of every origin (RFC 9449 §8.2). Authorization servers and resources have one store each: "a nonce
 * value of one server" is of no use at another, even where both share an origin (RFC 9449 §9).
 */
export class DpopNonces {
  readonly #newest = new Map<string, string>()

  /** Remembers the `DPoP-Nonce` of a response; what is no nonce changes nothing. */
  note(url: string, header: unknown): void {
    const nonce = readNonce(header)
    if (nonce === undefined) return
    const { origin } = new URL(url)
    this.#newest.delete(origin)
    this.#newest.set(origin, nonce)
    const [oldest] = this.#newest.keys()
    if (this.#newest.size > rememberedOrigins && oldest !== undefined) this.#newest.delete(oldest)
  }

  /** The nonce for the next proof to the origin of this URL. */
  newest(url: string): string | undefined {
    const { origin } = new URL(url)
    const nonce = this.#newest.get(origin)
    if (nonce === undefined) return undefined
    this.#newest.delete(origin)
    this.#newest.set(origin, nonce)
    return nonce
  }
}

import type { DpopKeyPair } from '../dpop-option'
import { OAuthTokenError } from '../errors'
import { proofClaims, publicJwk, thumbprint, type ProofSubject, type PublicJwk } from '../protocol/dpop'
import { jwsAlgorithms, signJws, type JwsAlgorithm } from '../protocol/jws'

/** For generating RSA keys: F4, and the least size of RFC 7518 §3.3. */
const rsa = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
const jtiBytes = 16

/** What a proof is made with besides the key: the injected clock and randomness. */
export interface ProofSettings {
  readonly now: () => number
  readonly clockTolerance: number
  readonly random: (bytes: number) => Uint8Array
}

/** A key that tokens are bound to, and the proofs made with it (RFC 9449 §4). */
export class DpopKey {
  /** Its thumbprint (RFC 7638), by which tokens name it. */
  readonly jkt: string
  readonly alg: JwsAlgorithm
  readonly #jwk: PublicJwk
  readonly #keyPair: DpopKeyPair

  private constructor(keyPair: DpopKeyPair, o: { jkt: string; alg: JwsAlgorithm; jwk: PublicJwk }) {
    this.jkt = o.jkt
    this.alg = o.alg
    this.#jwk = o.jwk
    this.#keyPair = keyPair
  }

  /** Generates a key that cannot be extracted. Throws `OAUTH_DPOP_UNSUPPORTED` where the runtime lacks the algorithm. */
  static async generate(alg: JwsAlgorithm): Promise<DpopKey> {
    const { kty, key } = jwsAlgorithms[alg]
    try {
      const pair = await crypto.subtle.generateKey({ ...key, ...(kty === 'RSA' ? rsa : {}) }, false, ['sign', 'verify'])
      return await DpopKey.#from(pair as DpopKeyPair, alg)
    } catch (cause) {
      throw new OAuthTokenError(`This runtime cannot make keys for ${alg}.`, {
        code: 'OAUTH_DPOP_UNSUPPORTED',
        hint: 'Set `dpop.alg` to another algorithm that the authorization server lists.',
        cause,
      })
    }
  }

  /** Takes the user's pair, whose kind has been checked. Throws `OAUTH_DPOP_UNSUPPORTED` unless one key verifies the other. */
  static async given(keyPair: DpopKeyPair, alg: JwsAlgorithm): Promise<DpopKey> {
    const key = await DpopKey.#from(keyPair, alg)
    if (await key.#isPair()) return key
    throw new OAuthTokenError('The two keys of `dpop.keyPair` do not belong together.', {
      code: 'OAUTH_DPOP_UNSUPPORTED',
      hint: 'Give publicKey and privateKey of one pair.',
    })
  }

  static async #from(keyPair: DpopKeyPair, alg: JwsAlgorithm): Promise<DpopKey> {
    const jwk = publicJwk({ ...(await crypto.subtle.exportKey('jwk', keyPair.publicKey)) })
    return new DpopKey(keyPair, { alg, jwk, jkt: await thumbprint(jwk) })
  }

  /** One proof, for one sending of one request. */
  async proof(subject: ProofSubject, { now, clockTolerance, random }: ProofSettings): Promise<string> {
    return signJws({
      header: { typ: 'dpop+jwt', alg: this.alg, jwk: this.#jwk },
      payload: await proofClaims(subject, { issuedAt: now() - clockTolerance, jti: random(jtiBytes) }),
      sign: (input) => this.#sign(input),
    })
  }

  async #sign(input: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { signing } = jwsAlgorithms[this.alg]
    return new Uint8Array(await crypto.subtle.sign(signing, this.#keyPair.privateKey, input))
  }

  async #isPair(): Promise<boolean> {
    const { key, signing } = jwsAlgorithms[this.alg]
    const probe = new TextEncoder().encode(this.jkt)
    const verifier = await crypto.subtle.importKey('jwk', this.#jwk, key, false, ['verify'])
    return crypto.subtle.verify(signing, verifier, await this.#sign(probe), probe)
  }
}

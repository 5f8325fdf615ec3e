import { sha256Base64url } from './encoding'

/** The unreserved characters of RFC 7636 §4.1. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'
const verifierLength = 128
const verifierShape = /^[A-Za-z0-9\-._~]{43,128}$/

/**
 * The verifier of one authorization request and its S256 challenge (RFC 7636 §4). The verifier is a secret: it is
 * readable as a member and in no rendering of the object.
 */
export class PkceParameters {
  readonly codeChallenge: string
  readonly codeChallengeMethod = 'S256' as const
  readonly #codeVerifier: string

  private constructor(codeVerifier: string, codeChallenge: string) {
    this.#codeVerifier = codeVerifier
    this.codeChallenge = codeChallenge
  }

  /** The secret that redeems the code; 43 to 128 unreserved characters. */
  get codeVerifier(): string {
    return this.#codeVerifier
  }

  /** Draws a fresh verifier of 128 characters, about 773 bits. `random` gives that many bytes; default WebCrypto. */
  static generate(random: (bytes: number) => Uint8Array = cryptoRandom): Promise<PkceParameters> {
    return PkceParameters.from(randomVerifier(random))
  }

  /** Restores the parameters from a stored verifier. Throws a TypeError, which does not show it, for any other shape. */
  static async from(codeVerifier: string): Promise<PkceParameters> {
    if (!verifierShape.test(codeVerifier)) {
      throw new TypeError(
        'axios-oauth2: a PKCE code verifier must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 section 4.1).',
      )
    }
    return new PkceParameters(codeVerifier, await sha256Base64url(codeVerifier))
  }
}

function cryptoRandom(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes))
}

/**
 * Bytes that would favour the first letters of the alphabet are thrown away: 256 is no multiple of 66. A source that
 * yields nothing else is given up instead of asked for ever.
 */
function randomVerifier(random: (bytes: number) => Uint8Array): string {
  const usable = 256 - (256 % alphabet.length)
  let verifier = ''
  for (let draw = 0; draw < 100 && verifier.length < verifierLength; draw++) {
    const bytes = random(verifierLength).filter((byte) => byte < usable)
    verifier += Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join('')
  }
  return verifier.slice(0, verifierLength)
}

import { base64url } from './encoding'

/** The signature algorithms of this library (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2): asymmetric ones only. */
export type JwsAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'RS256' | 'PS256' | 'EdDSA' | 'Ed25519'

/** What an algorithm asks of a key, and what WebCrypto calls it. */
export interface JwsAlgorithmRule {
  readonly kty: 'EC' | 'RSA' | 'OKP'
  /** The only curve of the algorithm. */
  readonly curve?: string
  /** For importing and generating keys. */
  readonly key: { readonly name: string; readonly namedCurve?: string; readonly hash?: string }
  /** For signing. */
  readonly signing: { readonly name: string; readonly hash?: string; readonly saltLength?: number }
  /** Length of a signature where it does not depend on the key. */
  readonly signatureBytes?: number
}

/** The algorithms by name; of those that fit a key the earlier is preferred. */
export const jwsAlgorithms: Readonly<Record<JwsAlgorithm, JwsAlgorithmRule>> = {
  ES256: ecdsa('P-256', 'SHA-256', 64),
  ES384: ecdsa('P-384', 'SHA-384', 96),
  ES512: ecdsa('P-521', 'SHA-512', 132),
  RS256: {
    kty: 'RSA',
    key: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    signing: { name: 'RSASSA-PKCS1-v1_5' },
  },
  PS256: {
    kty: 'RSA',
    key: { name: 'RSA-PSS', hash: 'SHA-256' },
    // RFC 7518 §3.5: "the size of the salt value is the same size as the hash function output".
    signing: { name: 'RSA-PSS', saltLength: 32 },
  },
  EdDSA: ed25519(),
  Ed25519: ed25519(),
}

/** Whether a name is one of the algorithms; `none` and the shared-secret HS256 are not. */
export function isJwsAlgorithm(name: unknown): name is JwsAlgorithm {
  return typeof name === 'string' && Object.hasOwn(jwsAlgorithms, name)
}

/** Makes a JWS in compact form (RFC 7515 §7.1); `sign` gives the signature of the bytes it is handed. */
export async function signJws(o: {
  readonly header: Readonly<Record<string, unknown>> & { readonly alg: JwsAlgorithm }
  readonly payload: Readonly<Record<string, unknown>>
  readonly sign: (signingInput: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>
}): Promise<string> {
  const input = `${encode(o.header)}.${encode(o.payload)}`
  return `${input}.${base64url(await o.sign(new TextEncoder().encode(input)))}`
}

function encode(value: Readonly<Record<string, unknown>>): string {
  return base64url(new TextEncoder().encode(JSON.stringify(value)))
}

function ecdsa(curve: string, hash: string, signatureBytes: number): JwsAlgorithmRule {
  return {
    kty: 'EC',
    curve,
    key: { name: 'ECDSA', namedCurve: curve },
    signing: { name: 'ECDSA', hash },
    signatureBytes,
  }
}

function ed25519(): JwsAlgorithmRule {
  return { kty: 'OKP', curve: 'Ed25519', key: { name: 'Ed25519' }, signing: { name: 'Ed25519' }, signatureBytes: 64 }
}

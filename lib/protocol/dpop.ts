import { base64url, sha256Base64url } from './encoding'
import { isJwsAlgorithm, type JwsAlgorithm } from './jws'

/** A public key as a proof carries it: the members that RFC 7638 §3.2 names for its type, in its order, and no other. */
export type PublicJwk = Readonly<Record<string, string>>

/** The required members by key type, in the order of RFC 7638 §3. */
const publicMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

/** RFC 9449 §8.1: `nonce = 1*NQCHAR`. */
const nonceCharacters = /^[\x21\x23-\x5b\x5d-\x7e]+$/
/** Characters; a longer nonce would come back in every request. */
const longestNonce = 1024

/** The public part of a key. Throws a TypeError for a key that is not asymmetric or lacks a member. */
export function publicJwk(key: Readonly<Record<string, unknown>>): PublicJwk {
  const names =
    typeof key.kty === 'string' && Object.hasOwn(publicMembers, key.kty) ? publicMembers[key.kty] : undefined
  const members = names?.map((name) => [name, key[name]])
  if (members?.every(([, value]) => typeof value === 'string' && value !== '') !== true) {
    throw new TypeError('axios-oauth2: not the public key of a type that can sign.')
  }
  return Object.fromEntries(members) as PublicJwk
}

/** The JWK SHA-256 thumbprint (RFC 7638 §3): what `cnf.jkt` and `dpop_jkt` name a key by. */
export function thumbprint(key: Readonly<Record<string, unknown>>): Promise<string> {
  return sha256Base64url(JSON.stringify(publicJwk(key)))
}

/**
 * The `htu` of a request: its URL "without query and fragment parts" (RFC 9449 §4.2), as it goes over the wire, which is
 * normalised by scheme and syntax (RFC 3986 §6.2.2 and §6.2.3).
 */
export function htuOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

/** What a proof is about. */
export interface ProofSubject {
  readonly method: string
  /** The URL of the request as it is sent. */
  readonly url: string
  /** The token that goes with the proof; none at the token endpoint. */
  readonly accessToken?: string | undefined
  /** The newest nonce of the server. */
  readonly nonce?: string | undefined
}

/** The claims of one proof (RFC 9449 §4.2). `issuedAt`: milliseconds since the epoch; `jti`: random bytes. */
export async function proofClaims(
  { method, url, accessToken, nonce }: ProofSubject,
  o: { readonly issuedAt: number; readonly jti: Uint8Array },
): Promise<Readonly<Record<string, unknown>>> {
  return {
    jti: base64url(o.jti),
    htm: method.toUpperCase(),
    htu: htuOf(url),
    iat: Math.floor(o.issuedAt / 1000),
    ...(accessToken === undefined ? {} : { ath: await sha256Base64url(accessToken) }),
    ...(nonce === undefined ? {} : { nonce }),
  }
}

/** The nonce of a `DPoP-Nonce` header; undefined for none, several, a long one, or text that no nonce may have. */
export function readNonce(header: unknown): string | undefined {
  const value: unknown = Array.isArray(header) && header.length === 1 ? header[0] : header
  return typeof value === 'string' && value.length <= longestNonce && nonceCharacters.test(value) ? value : undefined
}

/**
 * The algorithm of a generated key: ES256, unless the servers list others; then the first of theirs that is known.
 * Undefined when they list none of ours. What both list comes before what one of them lists.
 */
export function chooseProofAlgorithm(o: {
  /** `dpop_signing_alg_values_supported` of the authorization server (RFC 9449 §5.1). */
  readonly server: readonly string[] | undefined
  /** The same of the protected resource (RFC 9728 §2). */
  readonly resource: readonly string[] | undefined
}): JwsAlgorithm | undefined {
  const { server, resource } = o
  const listed = (server ?? resource ?? ['ES256']).filter(isJwsAlgorithm)
  const shared = resource === undefined ? listed : listed.filter((name) => resource.includes(name))
  const usable = shared.length > 0 ? shared : listed
  return usable.includes('ES256') ? 'ES256' : usable[0]
}

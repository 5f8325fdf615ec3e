import { bitLength } from './der'
import { joseSignature } from './ecdsa-signature'
import { isJwsAlgorithm, jwsAlgorithms, type JwsAlgorithm } from './jws'
import { readPkcs8, type KeyKind } from './pkcs8'

/** A key of the Web Cryptography API. The name `CryptoKey` exists where the DOM's types do, this one everywhere. */
export type WebCryptoKey = Awaited<ReturnType<typeof globalThis.crypto.subtle.importKey>>

/** A private key as JSON Web Key (RFC 7517). */
export interface PrivateJwk {
  readonly kty: string
  readonly kid?: string
  readonly alg?: string
  readonly [member: string]: unknown
}

/**
 * Signs for a key that never leaves its vault (KMS, HSM): gives the signature of the bytes, as JWS has it (RFC 7518 §3).
 * The DER form of ECDSA signatures that key services answer with is accepted as well.
 */
export type SigningFunction = (signingInput: Uint8Array) => Uint8Array | Promise<Uint8Array>

/** A private key in any form: WebCrypto key, JWK, PEM (PKCS#8, unencrypted), or a function that signs. */
export type PrivateKey = WebCryptoKey | PrivateJwk | string | SigningFunction

/** A private key whose form has been checked. */
export interface SigningKey {
  /** What it can sign with, the preferred first; never empty. */
  readonly algorithms: readonly JwsAlgorithm[]
  readonly kid: string | undefined
  /** Rejects with whatever WebCrypto or the signing function fails with. */
  readonly sign: (algorithm: JwsAlgorithm, signingInput: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>
}

/** A key as read: its kind, the algorithms it is meant for, and how to get at it. */
interface Material extends KeyKind {
  readonly meantFor?: readonly string[]
  readonly kid?: string | undefined
  readonly load: (algorithm: JwsAlgorithm) => Promise<WebCryptoKey>
}

type Refuse = (reason: string) => TypeError

/** RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used". */
const leastRsaBits = 2048

/**
 * Checks a private key as far as that is possible without using it. Throws a TypeError, which holds nothing of the key,
 * for an algorithm that is not asymmetric, a key that does not fit it, a public key and an RSA key of less than 2048
 * bits. `name`: how messages call the option.
 */
export function readSigningKey(
  key: PrivateKey,
  o: { readonly name: string; readonly alg?: string | undefined; readonly kid?: string | undefined },
): SigningKey {
  const refuse: Refuse = (reason) => new TypeError(`axios-oauth2: \`${o.name}\` cannot be used: ${reason}.`)
  const { alg } = o
  if (alg !== undefined && !isJwsAlgorithm(alg)) {
    throw refuse(`the algorithm must be one of ${Object.keys(jwsAlgorithms).join(', ')}`)
  }
  if (typeof key === 'function') {
    if (alg === undefined) throw refuse('with a signing function the algorithm must be configured')
    return { algorithms: [alg], kid: o.kid, sign: (algorithm, input) => signElsewhere(key, algorithm, input) }
  }
  const material = materialOf(key, refuse)
  const algorithms = algorithmsOf(material, alg, refuse)
  return { algorithms, kid: o.kid ?? material.kid, sign: signerOf(material) }
}

function signerOf({ load }: Material): SigningKey['sign'] {
  const loaded = new Map<JwsAlgorithm, Promise<WebCryptoKey>>()
  return async (algorithm, input) => {
    const key = loaded.get(algorithm) ?? load(algorithm)
    loaded.set(algorithm, key)
    return new Uint8Array(await crypto.subtle.sign(jwsAlgorithms[algorithm].signing, await key, input))
  }
}

async function signElsewhere(
  sign: SigningFunction,
  algorithm: JwsAlgorithm,
  input: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const { kty, signatureBytes } = jwsAlgorithms[algorithm]
  const signature = await sign(input)
  const bytes = signatureBytes ?? signature.length
  const fitting = kty === 'EC' ? joseSignature(signature, bytes) : signature
  if (fitting?.length !== bytes) throw new TypeError('the signing function gave something else than a signature')
  return fitting
}

/** The algorithms that a key may be used with: those of its kind, unless key or configuration choose among them. */
function algorithmsOf(material: Material, alg: JwsAlgorithm | undefined, refuse: Refuse): readonly JwsAlgorithm[] {
  const { kty, curve, bits, meantFor } = material
  if (bits !== undefined && bits < leastRsaBits) throw refuse(`an RSA key needs ${leastRsaBits} bits or more`)
  const fitting = algorithmNames().filter((name) => {
    const rule = jwsAlgorithms[name]
    return rule.kty === kty && rule.curve === curve && (meantFor === undefined || meantFor.includes(name))
  })
  if (fitting.length === 0) throw refuse('its type, curve, hash or `alg` fits none of the algorithms')
  if (alg === undefined) return fitting
  if (fitting.includes(alg)) return [alg]
  throw refuse(`it does not fit the algorithm ${alg}, but ${fitting.join(' or ')}`)
}

function algorithmNames(): readonly JwsAlgorithm[] {
  return Object.keys(jwsAlgorithms).filter(isJwsAlgorithm)
}

function materialOf(key: Exclude<PrivateKey, SigningFunction>, refuse: Refuse): Material {
  if (typeof key === 'string') return pemMaterial(key, refuse)
  if (typeof key !== 'object' || key === null) throw refuse('it is no key')
  if (isWebCryptoKey(key)) return cryptoMaterial(key, refuse)
  if (typeof key.kty === 'string') return jwkMaterial(key, refuse)
  throw refuse('it is neither a CryptoKey nor a JWK, a PEM text or a function')
}

function pemMaterial(pem: string, refuse: Refuse): Material {
  try {
    const { der, ...kind } = readPkcs8(pem)
    return {
      ...kind,
      load: (algorithm) => crypto.subtle.importKey('pkcs8', der, jwsAlgorithms[algorithm].key, false, ['sign']),
    }
  } catch (error) {
    throw refuse((error as Error).message)
  }
}

function jwkMaterial(jwk: PrivateJwk, refuse: Refuse): Material {
  const { kty, crv, d, n, alg, kid } = jwk
  if (kty !== 'EC' && kty !== 'RSA' && kty !== 'OKP') throw refuse('only keys of type EC, RSA and OKP can sign')
  if (typeof d !== 'string') throw refuse('it is a public key')
  // WebCrypto holds these against a key although they are not about it, and knows `alg` under one of its names only.
  const { alg: _alg, use: _use, key_ops: _operations, ext: _ext, ...members } = jwk
  return {
    kty,
    curve: typeof crv === 'string' ? crv : undefined,
    bits: kty === 'RSA' ? bitLength(bytesOf(n)) : undefined,
    ...(alg === undefined ? {} : { meantFor: [alg] }),
    kid: typeof kid === 'string' ? kid : undefined,
    load: (algorithm) => crypto.subtle.importKey('jwk', members, jwsAlgorithms[algorithm].key, false, ['sign']),
  }
}

function cryptoMaterial(key: WebCryptoKey, refuse: Refuse): Material {
  const { name, namedCurve, hash, modulusLength } = key.algorithm as {
    name: string
    namedCurve?: string
    hash?: { name: string }
    modulusLength?: number
  }
  if (key.type !== 'private') throw refuse(`it is a ${key.type} key`)
  if (!key.usages.includes('sign')) throw refuse('its usages do not allow to sign')
  const meantFor = algorithmNames().filter((candidate) => {
    const rule = jwsAlgorithms[candidate].key
    return rule.name === name && rule.namedCurve === namedCurve && rule.hash === hash?.name
  })
  const { kty = 'EC', curve } = meantFor[0] === undefined ? {} : jwsAlgorithms[meantFor[0]]
  return { kty, curve, bits: modulusLength, meantFor, load: () => Promise.resolve(key) }
}

/** By shape: a key may come from another realm. */
function isWebCryptoKey(key: WebCryptoKey | PrivateJwk): key is WebCryptoKey {
  const { type, algorithm, usages } = key as Partial<WebCryptoKey>
  return typeof type === 'string' && typeof algorithm === 'object' && Array.isArray(usages)
}

function bytesOf(base64url: unknown): Uint8Array {
  const text = typeof base64url === 'string' && /^[\w-]+$/.test(base64url) ? base64url : ''
  const base64 = text.replace(/-/g, '+').replace(/_/g, '/')
  return Uint8Array.from(atob(base64.length % 4 === 1 ? '' : base64), (character) => character.charCodeAt(0))
}

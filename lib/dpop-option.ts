import { OAuthDiscoveryError } from './errors'
import type { Need } from './need'
import { isJwsAlgorithm, jwsAlgorithms, type JwsAlgorithm } from './protocol/jws'
import { readSigningKey, type WebCryptoKey } from './protocol/signing-key'
import type { DiscoveredServer } from './storage/record'

/** A key pair of the Web Cryptography API. The private key need not be extractable; the public key must be. */
export interface DpopKeyPair {
  readonly publicKey: WebCryptoKey
  readonly privateKey: WebCryptoKey
}

/** How proofs of possession are made (RFC 9449). */
export interface DpopOptions {
  /** ES256, ES384, ES512, RS256, PS256, EdDSA or Ed25519. @default ES256, or the first of the server's list */
  readonly alg?: string
  /**
   * Your own key, for sessions that outlive the process or are shared between processes. @default generated, not
   * extractable, and gone with the provider: a public client signs in anew after a restart
   */
  readonly keyPair?: DpopKeyPair
  /** Refuses a token that is not bound to the key. @default as the resource's metadata says */
  readonly required?: boolean
}

/** The values of the option `dpop`. */
export type DpopOption = boolean | 'required' | DpopOptions

/** Whether proofs are sent, and whether a token that is not bound to the key is refused. */
export interface DpopPolicy {
  readonly on: boolean
  readonly required: boolean
}

/** Says what was expected of the option, or undefined when it is fine. Throws a TypeError for a key that cannot be used. */
export function dpopDefect(option: unknown): string | undefined {
  if (typeof option === 'boolean' || option === 'required') return undefined
  if (typeof option !== 'object' || option === null || Array.isArray(option)) {
    return `true, false, 'required' or an object with alg, keyPair and required`
  }
  const { alg, keyPair, required, ...others } = option as Record<string, unknown>
  const [unknownMember] = Object.keys(others)
  if (unknownMember !== undefined) return `an object with alg, keyPair and required, not \`${unknownMember}\``
  if (alg !== undefined && !isJwsAlgorithm(alg)) return `alg to be one of ${Object.keys(jwsAlgorithms).join(', ')}`
  if (required !== undefined && typeof required !== 'boolean') return 'required to be true or false'
  if (keyPair !== undefined) keyPairAlgorithm(keyPair, alg)
  return undefined
}

/**
 * The algorithm of a key pair. Throws a TypeError, which holds nothing of the keys, for one that cannot sign, does not fit
 * `alg`, is no pair of one kind, has less than 2048 bits of RSA or a public key that cannot be shown.
 */
export function keyPairAlgorithm(keyPair: unknown, alg: JwsAlgorithm | undefined): JwsAlgorithm {
  const { privateKey, publicKey } = (keyPair ?? {}) as Partial<DpopKeyPair>
  const refuse = (reason: string): TypeError =>
    new TypeError(`axios-oauth2: \`dpop.keyPair\` cannot be used: ${reason}.`)
  if (!isKey(privateKey) || !isKey(publicKey))
    throw refuse('it must have a privateKey and a publicKey, both CryptoKeys')
  const { algorithms } = readSigningKey(privateKey, { name: 'dpop.keyPair.privateKey', alg })
  if (publicKey.type !== 'public') throw refuse(`its publicKey is a ${publicKey.type} key`)
  if (!publicKey.extractable) throw refuse('its publicKey is not extractable, and every proof must show it')
  if (kindOf(publicKey) !== kindOf(privateKey)) throw refuse('its keys are of different kinds')
  return algorithms[0] ?? 'ES256'
}

/**
 * What the option and the resource's metadata make of DPoP. Throws `OAUTH_DPOP_UNSUPPORTED` when the resource takes bound
 * tokens only (RFC 9728 §2, `dpop_bound_access_tokens_required`) and the option is `false`.
 */
export function dpopPolicy(option: DpopOption | undefined, server: DiscoveredServer): DpopPolicy {
  const resourceRequires = server.protectedResource?.dpop_bound_access_tokens_required === true
  if (option === false && resourceRequires) throw turnedOff(server, 'requires')
  const required = option === 'required' || (typeof option === 'object' && option.required === true)
  return { on: option === undefined ? resourceRequires : option !== false, required: required || resourceRequires }
}

/** Refuses, before anybody is asked, a sign-in whose tokens the resource would not take. */
export function checkDpopPolicy(option: DpopOption | undefined, server: DiscoveredServer, need: Need): void {
  dpopPolicy(option, server)
  if (option === false && need.refusal?.scheme === 'DPoP') throw turnedOff(server, 'asks for')
}

function turnedOff({ resource }: DiscoveredServer, verb: string): OAuthDiscoveryError {
  return new OAuthDiscoveryError(`The resource ${verb} tokens bound to a key, and the option \`dpop\` is false.`, {
    code: 'OAUTH_DPOP_UNSUPPORTED',
    endpoint: resource,
    hint: 'Remove `dpop: false`, or set `dpop: true`.',
  })
}

/** By shape: a key may come from another realm. */
function isKey(value: unknown): value is WebCryptoKey {
  const { type, algorithm, usages } = (value ?? {}) as Partial<WebCryptoKey>
  return typeof type === 'string' && typeof algorithm === 'object' && Array.isArray(usages)
}

function kindOf({ algorithm }: WebCryptoKey): string {
  const { name, namedCurve, hash, modulusLength } = algorithm as {
    name: string
    namedCurve?: string
    hash?: { name: string }
    modulusLength?: number
  }
  return JSON.stringify([name, namedCurve, hash?.name, modulusLength])
}

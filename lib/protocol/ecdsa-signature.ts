import { derElements, significantBytes } from './der'

/**
 * An ECDSA signature as JWS has it: the two numbers side by side, each padded to its half of `bytes` (RFC 7518 §3.4).
 * The DER form (RFC 3279 §2.2.3), which key management services answer with, is converted; undefined for anything else.
 */
export function joseSignature(signature: Uint8Array, bytes: number): Uint8Array | undefined {
  if (signature.length === bytes) return signature
  const numbers = derElements(derElements(signature)[0]).map(significantBytes)
  if (numbers.length !== 2 || numbers.some(({ length }) => length > bytes / 2)) return undefined
  return Uint8Array.from(numbers.flatMap((number) => [...new Uint8Array(bytes / 2 - number.length), ...number]))
}

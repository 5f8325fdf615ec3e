/**
 * The contents of the DER elements that follow each other (X.690 §8.1). Reading ends where they make no sense: what is
 * damaged gives fewer elements. Never throws.
 */
export function derElements(bytes: Uint8Array = new Uint8Array()): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const first = bytes[at + 1] ?? 0
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f
    if (lengthBytes > 3) break
    const start = at + 2 + lengthBytes
    const length = lengthBytes === 0 ? first : bytes.slice(at + 2, start).reduce((sum, byte) => sum * 256 + byte, 0)
    if (start + length > bytes.length) break
    found.push(bytes.slice(start, start + length))
    at = start + length
  }
  return found
}

/** A number's bytes without leading zeros. */
export function significantBytes(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first < 0 ? new Uint8Array() : bytes.slice(first)
}

/** The length of a number in bits. */
export function bitLength(bytes: Uint8Array): number {
  const [first = 0, ...rest] = significantBytes(bytes)
  return first === 0 ? 0 : rest.length * 8 + (32 - Math.clz32(first))
}

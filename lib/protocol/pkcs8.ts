import { bitLength, derElements } from './der'

/** What kind of key something is: enough to tell which algorithms it fits. */
export interface KeyKind {
  readonly kty: 'EC' | 'RSA' | 'OKP'
  readonly curve?: string | undefined
  /** Length of an RSA modulus. */
  readonly bits?: number | undefined
}

/** A private key in PKCS#8. */
export interface Pkcs8Key extends KeyKind {
  readonly der: Uint8Array<ArrayBuffer>
}

/** Object identifiers in hexadecimal: RFC 5480 §2.1.1, RFC 8017 §A.1, RFC 8410 §3. */
const keyTypes: Readonly<Record<string, KeyKind['kty']>> = {
  '2a8648ce3d0201': 'EC',
  '2a864886f70d010101': 'RSA',
  '2b6570': 'OKP',
}
const curves: Readonly<Record<string, string>> = {
  '2a8648ce3d030107': 'P-256',
  '2b81040022': 'P-384',
  '2b81040023': 'P-521',
}

/** What other PEM files are, and what makes a PKCS#8 key of them. */
const otherFiles: Readonly<Record<string, string>> = {
  'ENCRYPTED PRIVATE KEY': 'it is encrypted; decrypt it first (openssl pkcs8 -in key.pem)',
  'EC PRIVATE KEY': 'it is in the SEC 1 format; convert it (openssl pkcs8 -topk8 -nocrypt -in key.pem)',
  'RSA PRIVATE KEY': 'it is in the PKCS#1 format; convert it (openssl pkcs8 -topk8 -nocrypt -in key.pem)',
  'PUBLIC KEY': 'it is a public key',
  CERTIFICATE: 'it is a certificate',
}

/**
 * Reads an unencrypted PKCS#8 private key (RFC 7468 §10, RFC 5958 §2) as far as telling its kind. Throws an Error whose
 * message says why it cannot be used and holds nothing of it.
 */
export function readPkcs8(pem: string): Pkcs8Key {
  const [, label = '', base64 = ''] = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/.exec(pem) ?? []
  if (label !== 'PRIVATE KEY') throw new Error(otherFiles[label] ?? 'it has no block BEGIN PRIVATE KEY')
  const der = decode(base64)
  const kind = kindOf(der)
  if (kind !== undefined) return { ...kind, der }
  throw new Error('it is damaged, or of a type other than EC (P-256, P-384, P-521), RSA and Ed25519')
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64.replace(/\s+/g, '')), (character) => character.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}

/** PrivateKeyInfo is a SEQUENCE of version, algorithm (a SEQUENCE of identifier and parameters) and the key's octets. */
function kindOf(der: Uint8Array): KeyKind | undefined {
  const [, algorithm, key] = derElements(derElements(der)[0])
  const [identifier, parameters] = derElements(algorithm)
  const kty = identifier && keyTypes[hex(identifier)]
  switch (kty) {
    case 'EC': {
      const curve = parameters && curves[hex(parameters)]
      return curve === undefined ? undefined : { kty, curve }
    }
    case 'RSA': {
      // RSAPrivateKey is a SEQUENCE of version, modulus and more (RFC 8017 §A.1.2).
      const [, modulus] = derElements(derElements(key)[0])
      return modulus && { kty, bits: bitLength(modulus) }
    }
    case 'OKP':
      return { kty, curve: 'Ed25519' }
    default:
      return undefined
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** A certificate with its private key, both PEM, as `node:https` takes them. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

/** A certificate authority that exists as long as the spec that made it. */
export interface Authority {
  /** Its own certificate, PEM: what trusts it has it as `ca`. */
  readonly ca: string
  /** A certificate for a client or for a server on 127.0.0.1. */
  issue(commonName: string): Certified
}

/** Makes an authority with a new key (X.509 v3, RFC 5280 §4.1, ECDSA on P-256). */
export function makeAuthority(name: string): Authority {
  const own = newKey()
  const issuer = distinguishedName(name)
  const make = (subject: Buffer, publicKey: KeyObject, extension: Buffer): string =>
    certificate({ issuer, subject, publicKey, extension, signWith: own.privateKey })
  return {
    ca: make(issuer, own.publicKey, basicConstraints),
    issue(commonName) {
      const { publicKey, privateKey } = newKey()
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
      return { cert: make(distinguishedName(commonName), publicKey, loopbackName), key }
    },
  }
}

function newKey(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

function certificate(o: {
  issuer: Buffer
  subject: Buffer
  publicKey: KeyObject
  extension: Buffer
  signWith: KeyObject
}): string {
  const version3 = der(0xa0, der(0x02, Buffer.of(2)))
  const serial = der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)]))
  const day = 86_400_000
  const validity = sequence(utcTime(Date.now() - day), utcTime(Date.now() + day))
  const key = o.publicKey.export({ type: 'spki', format: 'der' })
  const extensions = der(0xa3, sequence(o.extension))
  const content = sequence(version3, serial, ecdsaWithSha256, o.issuer, validity, o.subject, key, extensions)
  const signature = sign('sha256', content, o.signWith)
  const bytes = sequence(content, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.of(0), signature])))
  return `-----BEGIN CERTIFICATE-----\n${lines(bytes)}\n-----END CERTIFICATE-----\n`
}

/** PEM wraps at 64 characters; an empty line would end the reading (RFC 7468 §2). */
function lines(bytes: Buffer): string {
  return (bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')
}

/** One element of DER (X.690 §8.1): tag, length, content. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const long = content.length > 255 ? [0x82, content.length >> 8, content.length & 255] : [0x81, content.length]
  return Buffer.concat([Buffer.from([tag, ...(content.length < 128 ? [content.length] : long)]), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return der(0x30, ...contents)
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function utcTime(time: number): Buffer {
  const digits = new Date(time).toISOString().replace(/\D/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${digits}Z`))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(objectId('550403'), der(0x0c, Buffer.from(commonName)))))
}

const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'))
const yes = der(0x01, Buffer.of(255))
/** Critical: this is an authority. */
const basicConstraints = sequence(objectId('551d13'), yes, der(0x04, sequence(yes)))
const loopbackName = sequence(objectId('551d11'), der(0x04, sequence(der(0x87, Buffer.of(127, 0, 0, 1)))))

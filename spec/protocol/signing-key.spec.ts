import { createPrivateKey, generateKeyPairSync, sign as signWithNode, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { compactVerify, importJWK, type JWK } from 'jose'
import { joseSignature } from '../../lib/protocol/ecdsa-signature'
import { isJwsAlgorithm, jwsAlgorithms, signJws, type JwsAlgorithm } from '../../lib/protocol/jws'
import { readPkcs8 } from '../../lib/protocol/pkcs8'
import { readSigningKey, type PrivateKey } from '../../lib/protocol/signing-key'
import { rendered } from '../support/renderings'

const ec = (namedCurve: string): Pair => pairOf(generateKeyPairSync('ec', { namedCurve }))
const rsa = (modulusLength: number): Pair => pairOf(generateKeyPairSync('rsa', { modulusLength }))

interface Pair {
  readonly privateJwk: JWK & { kty: string }
  readonly publicJwk: JWK & { kty: string }
  readonly pem: string
}

function pairOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Pair {
  return {
    privateJwk: privateKey.export({ format: 'jwk' }) as Pair['privateJwk'],
    publicJwk: publicKey.export({ format: 'jwk' }) as Pair['publicJwk'],
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  }
}

const p256 = ec('P-256')
const rsa2048 = rsa(2048)
const ed25519 = pairOf(generateKeyPairSync('ed25519'))
const pairs: readonly (readonly [JwsAlgorithm, Pair])[] = [
  ['ES256', p256],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['RS256', rsa2048],
  ['PS256', rsa2048],
  ['EdDSA', ed25519],
]

const name = 'private_key'
const webCryptoKey = (algorithm: JwsAlgorithm, { privateJwk }: Pair, usages: ('sign' | 'verify')[] = ['sign']) =>
  crypto.subtle.importKey('jwk', privateJwk, jwsAlgorithms[algorithm].key, false, usages)

async function signed(key: PrivateKey, alg: JwsAlgorithm): Promise<string> {
  const signing = readSigningKey(key, { name, alg })
  return signJws({ header: { alg }, payload: { sub: 'é', n: 1 }, sign: (input) => signing.sign(alg, input) })
}

describe('readSigningKey() and signJws()', () => {
  describe.each(pairs)('%s', (alg, pair) => {
    const forms: readonly (readonly [string, () => PrivateKey | Promise<PrivateKey>])[] = [
      ['a PEM', () => pair.pem],
      ['a JWK', () => pair.privateJwk],
      ['a JWK with alg, use and key_ops', () => ({ ...pair.privateJwk, alg, use: 'sig', key_ops: ['sign'] })],
      ['a CryptoKey', () => webCryptoKey(alg, pair)],
    ]
    it.each(forms)('signs with %s what jose verifies [client-auth.jwt-keys]', async (_form, key) => {
      const verified = await compactVerify(await signed(await key(), alg), await importJWK(pair.publicJwk, alg))
      expect(verified.protectedHeader).toEqual({ alg })
      expect(JSON.parse(new TextDecoder().decode(verified.payload))).toEqual({ sub: 'é', n: 1 })
    })
  })

  it('takes the DER signatures of a key service and the raw ones of a vault [client-auth.jwt-keys]', async () => {
    const key = createPrivateKey(p256.pem)
    const publicKey = await importJWK(p256.publicJwk, 'ES256')
    // Many times: r and s are shorter than 32 bytes now and then, and longer with a sign byte.
    for (let time = 0; time < 200; time += 1) {
      const der = await signed((input) => signWithNode('sha256', input, { key, dsaEncoding: 'der' }), 'ES256')
      await compactVerify(der, publicKey)
    }
    const raw = await signed((input) => signWithNode('sha256', input, { key, dsaEncoding: 'ieee-p1363' }), 'ES256')
    await compactVerify(raw, publicKey)
  })

  it('prefers what fits the key, and names what it may be [client-auth.jwt-keys]', () => {
    expect(readSigningKey(rsa2048.pem, { name }).algorithms).toEqual(['RS256', 'PS256'])
    expect(readSigningKey(p256.privateJwk, { name }).algorithms).toEqual(['ES256'])
    expect(readSigningKey({ ...rsa2048.privateJwk, alg: 'PS256' }, { name }).algorithms).toEqual(['PS256'])
    expect(readSigningKey({ ...p256.privateJwk, kid: 'k1' }, { name }).kid).toBe('k1')
    expect(readSigningKey({ ...p256.privateJwk, kid: 'k1' }, { name, kid: 'k2' }).kid).toBe('k2')
  })

  const pkcs1 = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const refused: readonly (readonly [string, unknown, string | undefined, RegExp])[] = [
    ['the algorithm none', p256.pem, 'none', /one of ES256/],
    ['HS256 with a public key', rsa2048.publicJwk, 'HS256', /one of ES256/],
    ['a shared secret', { kty: 'oct', k: 'AAAA' }, undefined, /EC, RSA and OKP/],
    ['RSA of 1024 bits as PEM', rsa(1024).pem, 'RS256', /2048 bits/],
    ['RSA of 1024 bits as JWK', rsa(1024).privateJwk, 'PS256', /2048 bits/],
    ['P-256 for ES384', p256.pem, 'ES384', /does not fit the algorithm ES384, but ES256/],
    ['P-384 as JWK for ES256', ec('P-384').privateJwk, 'ES256', /does not fit/],
    ['RSA for ES256', rsa2048.pem, 'ES256', /does not fit/],
    ['Ed25519 for RS256', ed25519.privateJwk, 'RS256', /does not fit/],
    ['a curve that JWS has not', ec('secp256k1').privateJwk, undefined, /fits none/],
    ['a JWK meant for HS256', { ...p256.privateJwk, alg: 'HS256' }, undefined, /fits none/],
    ['a public JWK', p256.publicJwk, 'ES256', /public key/],
    ['a public PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', undefined, /public key/],
    ['an encrypted PEM', encrypted(), undefined, /encrypted; decrypt it first/],
    ['a PKCS#1 PEM', pkcs1.export({ type: 'pkcs1', format: 'pem' }), undefined, /openssl pkcs8 -topk8/],
    ['a damaged PEM', p256.pem.replace(/\n.{10}/, '\nAAAAAAAAAA'), undefined, /damaged/],
    ['a PEM with other text', p256.pem.replace(/\n.{10}/, '\n!!!!!!!!!!'), undefined, /damaged/],
    ['no PEM at all', 'a secret key', undefined, /BEGIN PRIVATE KEY/],
    ['a signing function without algorithm', () => new Uint8Array(64), undefined, /algorithm must be configured/],
    ['an empty object', {}, undefined, /neither/],
    ['nothing', null, undefined, /no key/],
  ]
  it.each(refused)('refuses %s at construction and shows nothing of it [DP-11] [SC-14]', (_what, key, alg, reason) => {
    let thrown: unknown
    try {
      readSigningKey(key as PrivateKey, { name, alg })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(TypeError)
    expect((thrown as Error).message).toMatch(reason)
    const { d, k = d } = (typeof key === 'object' && key !== null ? key : {}) as Record<string, string>
    const material =
      typeof key === 'string' ? key.split('\n').filter((line) => line.length > 30 && !/-----/.test(line)) : [k]
    for (const secret of material) if (secret !== undefined) expect(rendered(thrown)).not.toContain(secret)
  })

  it('refuses a public CryptoKey, one that may not sign, and one of another algorithm [DP-11]', async () => {
    const { kty, n, e } = rsa2048.publicJwk
    const publicKey = await crypto.subtle.importKey('jwk', { kty, n: n!, e: e! }, jwsAlgorithms.RS256.key, true, [
      'verify',
    ])
    expect(() => readSigningKey(publicKey, { name })).toThrow(/public key/)
    const sha512 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' }
    const other = await crypto.subtle.importKey('jwk', rsa2048.privateJwk, sha512, false, ['sign'])
    expect(() => readSigningKey(other, { name })).toThrow(/fits none/)
    const rs256 = await webCryptoKey('RS256', rsa2048)
    expect(() => readSigningKey(rs256, { name, alg: 'PS256' })).toThrow(/does not fit the algorithm PS256, but RS256/)
  })

  it('knows asymmetric algorithms only [DP-11]', () => {
    for (const alg of ['none', 'HS256', 'HS512', 'toString', '__proto__', '', undefined, 3]) {
      expect(isJwsAlgorithm(alg)).toBe(false)
    }
  })
})

describe('joseSignature()', () => {
  it('gives the bytes it is asked for, or nothing, for any input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect([undefined, 64]).toContain(joseSignature(bytes, 64)?.length)
      }),
    )
  })
})

describe('readPkcs8()', () => {
  it('throws an error without the input, or reads it, whatever it is [SC-14]', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 200 }), (bytes) => {
        const body = Buffer.from(bytes).toString('base64')
        try {
          readPkcs8(`-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----`)
        } catch (error) {
          expect((error as Error).message).not.toContain(body.slice(0, 20))
        }
      }),
    )
  })
})

function encrypted(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'wrong' }) as string
}

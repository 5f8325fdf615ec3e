import { generateKeyPair } from 'jose'
import { OAuthClientProvider, type DpopOption } from 'axios-oauth2'

const serverUrl = 'https://api.example.com/mcp'
const clientMetadata = { redirect_uris: ['http://127.0.0.1:8765/callback'] }

function construct(dpop: unknown): OAuthClientProvider {
  return new OAuthClientProvider({ serverUrl, clientMetadata, dpop: dpop as DpopOption })
}

describe('the option dpop', () => {
  it.each([true, false, 'required', {}, { alg: 'ES384' }, { required: true }, { alg: 'Ed25519', required: false }])(
    'may be %j [dpop.key] [dpop.required]',
    (dpop) => {
      expect(() => construct(dpop)).not.toThrow()
    },
  )

  it.each<[string, unknown]>([
    ['another text', 'on'],
    ['null', null],
    ['a list', []],
    ['a number', 1],
    ['an unknown member', { algorithm: 'ES256' }],
    ['a shared-secret algorithm', { alg: 'HS256' }],
    ['no algorithm at all', { alg: 'none' }],
    ['an inherited name', { alg: 'constructor' }],
    ['a text for required', { required: 'yes' }],
    ['a text for the key', { keyPair: 'secret-text' }],
    ['half a pair', { keyPair: {} }],
  ])('refuses %s with a TypeError that names it [errors.base] [dpop.key]', (_name, dpop) => {
    expect(() => construct(dpop)).toThrow(TypeError)
    expect(() => construct(dpop)).toThrow(/axios-oauth2: .*dpop/)
    expect(() => construct(dpop)).not.toThrow(/secret-text/)
  })

  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'])(
    'takes a key pair for %s whose private key cannot be extracted [dpop.key]',
    async (alg) => {
      const keyPair = await generateKeyPair(alg)
      expect(keyPair.privateKey.extractable).toBe(false)
      expect(() => construct({ keyPair })).not.toThrow()
      expect(() => construct({ keyPair, alg })).not.toThrow()
    },
  )

  it('refuses a pair that does not fit the algorithm [dpop.key]', async () => {
    const keyPair = await generateKeyPair('ES256')
    expect(() => construct({ keyPair, alg: 'ES384' })).toThrow(/does not fit the algorithm ES384, but ES256/)
    expect(() => construct({ keyPair, alg: 'RS256' })).toThrow(TypeError)
  })

  it('refuses an RSA key of less than 2048 bits [dpop.key]', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 1024 }
    const publicExponent = new Uint8Array([1, 0, 1])
    const keyPair = await crypto.subtle.generateKey({ ...rsa, publicExponent }, false, ['sign', 'verify'])
    expect(() => construct({ keyPair })).toThrow(/2048/)
  })

  it('refuses keys that are no pair of one kind, or the wrong way round [dpop.key]', async () => {
    const [small, large] = [await generateKeyPair('ES256'), await generateKeyPair('ES384')]
    const { publicKey, privateKey } = small
    expect(() => construct({ keyPair: { publicKey: large.publicKey, privateKey } })).toThrow(/different kinds/)
    expect(() => construct({ keyPair: { publicKey: privateKey, privateKey: publicKey } })).toThrow(/public key/)
    expect(() => construct({ keyPair: { publicKey: privateKey, privateKey } })).toThrow(/is a private key/)
  })

  it('refuses a key for another purpose, and a public key that cannot be shown [dpop.key]', async () => {
    const agreement = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits'])
    expect(() => construct({ keyPair: agreement })).toThrow(TypeError)
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' }
    const jwk = await crypto.subtle.exportKey('jwk', publicKey)
    const hidden = await crypto.subtle.importKey('jwk', jwk, ecdsa, false, ['verify'])
    expect(() => construct({ keyPair: { publicKey: hidden, privateKey } })).toThrow(/not extractable/)
  })
})

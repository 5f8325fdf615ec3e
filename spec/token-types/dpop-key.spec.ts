import { inspect } from 'node:util'
import { EmbeddedJWK, calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, generateKeyPair, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import type { JwsAlgorithm } from '../../lib/protocol/jws'
import { DpopKey } from '../../lib/token-types/dpop-key'

const settings = {
  now: () => Date.now(),
  clockTolerance: 0,
  random: (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)),
}
const subject = { method: 'GET', url: 'https://api.example.com/a?b#c', accessToken: 'token', nonce: 'nonce' }
const algorithms: readonly JwsAlgorithm[] = ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA', 'Ed25519']

describe('DpopKey.generate()', () => {
  it.each(algorithms)('makes a key whose proofs jose verifies: %s [dpop.proof] [dpop.key]', async (alg) => {
    const key = await DpopKey.generate(alg)
    const { payload, protectedHeader } = await jwtVerify(await key.proof(subject, settings), EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [alg],
      maxTokenAge: 5,
    })
    expect(Object.keys(protectedHeader).sort()).toEqual(['alg', 'jwk', 'typ'])
    expect(protectedHeader.jwk).not.toHaveProperty('d')
    expect(await calculateJwkThumbprint(protectedHeader.jwk!)).toBe(key.jkt)
    expect(Object.keys(payload).sort()).toEqual(['ath', 'htm', 'htu', 'iat', 'jti', 'nonce'])
  })

  it('keeps the private key where nobody can extract it, and out of every rendering [dpop.key] [DP-05]', async () => {
    const pairs: unknown[] = []
    const generate = crypto.subtle.generateKey.bind(crypto.subtle)
    const spy = jest.spyOn(crypto.subtle, 'generateKey').mockImplementation((async (...args: never[]) => {
      const pair: unknown = await (generate as (...args: never[]) => Promise<unknown>)(...args)
      pairs.push(pair)
      return pair
    }) as never)
    const key = await DpopKey.generate('ES256')
    spy.mockRestore()
    expect((pairs[0] as { privateKey: { extractable: boolean } }).privateKey.extractable).toBe(false)
    expect(inspect(key, { showHidden: true, depth: Infinity })).not.toMatch(/CryptoKey/)
    expect(Object.keys(JSON.parse(JSON.stringify(key)) as object).sort()).toEqual(['alg', 'jkt'])
  })

  it('makes RSA keys of 2048 bits [dpop.key]', async () => {
    const proof = await (await DpopKey.generate('PS256')).proof(subject, settings)
    const { n } = decodeProtectedHeader(proof).jwk as { n: string }
    expect(Buffer.from(n, 'base64url')).toHaveLength(256)
  })

  it('says that the runtime lacks an algorithm [dpop.key]', async () => {
    const spy = jest.spyOn(crypto.subtle, 'generateKey').mockRejectedValue(new Error('unsupported'))
    await expect(DpopKey.generate('Ed25519')).rejects.toMatchObject({
      code: 'OAUTH_DPOP_UNSUPPORTED',
      hint: expect.stringContaining('dpop.alg'),
    })
    spy.mockRestore()
  })
})

describe('DpopKey.proof()', () => {
  it('differs each time in jti and signature [dpop.fresh] [DP-01]', async () => {
    const key = await DpopKey.generate('ES256')
    const proofs = await Promise.all(Array.from({ length: 20 }, () => key.proof(subject, settings)))
    const ids = proofs.map((proof) => decodeJwt(proof).jti)
    expect(new Set(ids).size).toBe(20)
    for (const id of ids) expect(Buffer.from(id!, 'base64url')).toHaveLength(16)
  })

  it('dates proofs back by the tolerance of the clock [CK-07]', async () => {
    const key = await DpopKey.generate('ES256')
    const proof = await key.proof(subject, { ...settings, now: () => 100_999, clockTolerance: 30_000 })
    expect(decodeJwt(proof).iat).toBe(70)
  })

  it.each(['ES256', 'RS256', 'Ed25519'])(
    'says with the same key what oauth4webapi says, at both servers: %s [dpop.proof] [dpop.resource-request] [dpop.token-request]',
    async (alg) => {
      const keyPair = await generateKeyPair(alg, { extractable: true })
      const own = await DpopKey.given(keyPair, alg as JwsAlgorithm)
      const theirs = await proofsOfOauth4webapi(keyPair)
      const { url, accessToken } = theirs.resource
      const pairs = [
        [theirs.resource.proof, await own.proof({ method: 'GET', url, accessToken }, settings)],
        [theirs.token.proof, await own.proof({ method: 'POST', url: theirs.token.url }, settings)],
      ] as const
      for (const [reference, proof] of pairs) {
        expect(decodeProtectedHeader(proof)).toEqual(decodeProtectedHeader(reference))
        expect(timeless(decodeJwt(proof))).toEqual(timeless(decodeJwt(reference)))
      }
    },
  )
})

describe('DpopKey.given()', () => {
  it('refuses two keys of one kind that do not belong together [dpop.key]', async () => {
    const [one, other] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')]
    const keyPair = { publicKey: one.publicKey, privateKey: other.privateKey }
    await expect(DpopKey.given(keyPair, 'ES256')).rejects.toMatchObject({ code: 'OAUTH_DPOP_UNSUPPORTED' })
  })
})

/**
 * Deliberate differences: `jti` is random on both sides, and of another length; `iat` is the moment; oauth4webapi also
 * states `nbf`, which RFC 9449 §4.2 does not know, and which a clock that is ahead would turn against us.
 */
function timeless({ jti: _jti, iat: _iat, nbf: _nbf, ...claims }: Record<string, unknown>): Record<string, unknown> {
  return claims
}

interface Captured {
  readonly url: string
  readonly proof: string
  readonly accessToken: string
}

async function proofsOfOauth4webapi(keyPair: oauth.CryptoKeyPair): Promise<{ resource: Captured; token: Captured }> {
  const captured: Captured[] = []
  const record = (url: string, { headers }: { headers: Record<string, string> }): Promise<Response> => {
    captured.push({ url, proof: new Headers(headers).get('dpop') ?? '', accessToken: 'token' })
    return Promise.resolve(Response.json({}))
  }
  const client: oauth.Client = { client_id: 'client' }
  const options = { DPoP: oauth.DPoP(client, keyPair), [oauth.customFetch]: record as never }
  const url = new URL('https://API.example.com:443/Path/x?query=1#fragment')
  await oauth.protectedResourceRequest('token', 'GET', url, new Headers(), null, options)
  const server: oauth.AuthorizationServer = {
    issuer: 'https://as.example.com',
    token_endpoint: 'https://as.example.com/token?a',
  }
  await oauth.clientCredentialsGrantRequest(server, client, oauth.None(), {}, options)
  const [resource, token] = captured
  return { resource: resource!, token: token! }
}

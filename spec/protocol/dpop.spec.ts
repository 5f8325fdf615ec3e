import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { chooseProofAlgorithm, htuOf, proofClaims, publicJwk, readNonce, thumbprint } from '../../lib/protocol/dpop'

const issuedAt = Date.UTC(2026, 0, 15, 12, 0, 0, 900)
const jti = new Uint8Array([1, 2, 3])

describe('proofClaims()', () => {
  it('names method, URL, time and a random id [dpop.proof] [DP-01]', async () => {
    const claims = await proofClaims({ method: 'post', url: 'https://api.example.com/a?b=1#c' }, { issuedAt, jti })
    expect(claims).toEqual({ jti: 'AQID', htm: 'POST', htu: 'https://api.example.com/a', iat: 1768478400 })
  })

  it('adds the hash of the token and the nonce where there are any [dpop.resource-request] [DP-01]', async () => {
    const subject = { method: 'GET', url: 'https://api.example.com', accessToken: 'token', nonce: 'n' }
    expect(await proofClaims(subject, { issuedAt, jti })).toMatchObject({
      ath: createHash('sha256').update('token').digest('base64url'),
      nonce: 'n',
    })
  })
})

describe('htuOf()', () => {
  it.each([
    ['https://api.example.com/a/b?c=d&e=f#g', 'https://api.example.com/a/b'],
    ['https://api.example.com/a#g?h', 'https://api.example.com/a'],
    ['https://API.Example.COM:443/A', 'https://api.example.com/A'],
    ['http://localhost:80/', 'http://localhost/'],
    ['https://api.example.com:8443', 'https://api.example.com:8443/'],
    ['https://api.example.com/a/./b/../c', 'https://api.example.com/a/c'],
    ['https://user:secret@api.example.com/a', 'https://api.example.com/a'],
    ['https://api.example.com/caf\u00e9/%e2%82%ac', 'https://api.example.com/caf%C3%A9/%e2%82%ac'],
    ['http://[::1]:3000/mcp', 'http://[::1]:3000/mcp'],
  ])('makes of %s the URL without query and fragment, normalised [dpop.proof] [DP-06]', (url, htu) => {
    expect(htuOf(url)).toBe(htu)
  })

  it('is idempotent and independent of query and fragment [dpop.proof] [DP-06]', () => {
    fc.assert(
      fc.property(fc.webUrl(), fc.webQueryParameters(), (url, query) => {
        expect(htuOf(htuOf(url))).toBe(htuOf(url))
        expect(htuOf(`${url}?${query}#x`)).toBe(htuOf(url))
      }),
      { numRuns: 30 },
    )
  })
})

describe('thumbprint()', () => {
  it('is that of RFC 7638 §3.1 [dpop.key]', async () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    const jwk = { kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' }
    expect(await thumbprint(jwk)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })

  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'])(
    'agrees with jose on a key for %s, whatever else is in it [dpop.key]',
    async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true })
      const jwk = { ...(await exportJWK(privateKey)), use: 'sig', kid: '1' }
      expect(await thumbprint(jwk)).toBe(await calculateJwkThumbprint(jwk))
    },
  )
})

describe('publicJwk()', () => {
  it('shows nothing of the private key [dpop.proof]', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    expect(Object.keys(publicJwk({ ...(await exportJWK(privateKey)) }))).toEqual(['crv', 'kty', 'x', 'y'])
  })

  it.each([{ kty: 'oct', k: 'AAAA' }, { kty: 'EC', crv: 'P-256', x: 'AA' }, {}, { kty: 'constructor' }])(
    'refuses %j [dpop.key]',
    (jwk) => {
      expect(() => publicJwk(jwk)).toThrow(TypeError)
    },
  )
})

describe('readNonce()', () => {
  it.each<[string, unknown]>([
    ['a text', 'eyJ7S_zG.eyJH0-Z.HX4w-7v'],
    ['the only line', ['abc']],
    ['base64 with padding', 'abc+/=='],
  ])('takes %s [dpop.nonce-kept]', (_name, header) => {
    expect(readNonce(header)).toBe(Array.isArray(header) ? header[0] : header)
  })

  it.each<[string, unknown]>([
    ['none', undefined],
    ['an empty one', ''],
    ['1 MB', 'n'.repeat(2 ** 20)],
    ['a line break', 'abc\r\nX-Evil: 1'],
    ['a blank, as between two joined lines', 'abc, def'],
    ['two lines', ['abc', 'def']],
    ['a quote', 'a"b'],
    ['a backslash', 'a\\b'],
    ['text beyond ASCII', 'n\u00f6nce'],
    ['a number', 1],
  ])('refuses %s [DP-05]', (_name, header) => {
    expect(readNonce(header)).toBeUndefined()
  })

  it('never throws, and gives only what fits a header [DP-05]', () => {
    fc.assert(
      fc.property(fc.anything(), (header) => {
        expect(readNonce(header) ?? 'x').toMatch(/^[\x21-\x7e]+$/)
      }),
    )
  })
})

describe('chooseProofAlgorithm()', () => {
  it.each([
    [undefined, undefined, 'ES256'],
    [['ES256'], undefined, 'ES256'],
    [['RS256', 'ES256'], undefined, 'ES256'],
    [['HS256', 'none', 'PS256', 'EdDSA'], undefined, 'PS256'],
    [['ES512', 'ES384'], ['ES384'], 'ES384'],
    [['ES256', 'EdDSA'], ['EdDSA'], 'EdDSA'],
    [['ES384'], ['EdDSA'], 'ES384'],
    [undefined, ['EdDSA'], 'EdDSA'],
    [['ES256K'], undefined, undefined],
    [[], undefined, undefined],
  ])('chooses of server %j and resource %j: %s [dpop.key]', (server, resource, alg) => {
    expect(chooseProofAlgorithm({ server, resource })).toBe(alg)
  })
})

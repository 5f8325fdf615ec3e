import fc from 'fast-check'
import { base64url as jose } from 'jose'
import { base64url, sha256Base64url } from '../../lib/protocol/encoding'

describe('base64url(bytes)', () => {
  it('agrees with jose on every input [pkce.s256-always]', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(base64url(bytes)).toBe(jose.encode(bytes))
        expect(Uint8Array.from(jose.decode(base64url(bytes)))).toEqual(Uint8Array.from(bytes))
      }),
    )
  })

  it('encodes large inputs [pkce.s256-always]', () => {
    const bytes = new Uint8Array(300_000).fill(251)
    expect(base64url(bytes)).toBe(jose.encode(bytes))
  })
})

describe('sha256Base64url(text)', () => {
  it.each([
    ['', '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'],
    ['abc', 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0'],
    ['\u00e9', 'SplVfkAzw1Od4utlRyAXytX5VX96BiWgnxw_biumnEw'],
  ])('digests the UTF-8 bytes of %j [pkce.s256-always]', async (text, digest) => {
    expect(await sha256Base64url(text)).toBe(digest)
  })
})

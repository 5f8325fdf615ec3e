import { inspect } from 'node:util'
import fc from 'fast-check'
import * as oauth from 'oauth4webapi'
import { PkceParameters } from '../../lib/protocol/pkce'

const unreserved = /^[A-Za-z0-9\-._~]+$/

describe('PkceParameters.generate()', () => {
  it('draws a fresh verifier of 128 unreserved characters each time [pkce.verifier-shape]', async () => {
    const pairs = await Promise.all(Array.from({ length: 100 }, () => PkceParameters.generate()))
    const verifiers = pairs.map(({ codeVerifier }) => codeVerifier)
    expect(new Set(verifiers).size).toBe(100)
    for (const verifier of verifiers) {
      expect(verifier).toHaveLength(128)
      expect(verifier).toMatch(unreserved)
    }
  })

  it('favours no character: every byte that is used names one of 66 equally often [pkce.verifier-shape]', async () => {
    // Each of the 256 byte values once: three rounds of the alphabet, and 58 values that are thrown away.
    const random = (): Uint8Array => Uint8Array.from({ length: 256 }, (_, value) => value)
    const { codeVerifier } = await PkceParameters.generate(random)
    expect(new Set(codeVerifier.slice(0, 66)).size).toBe(66)
    expect(codeVerifier.slice(66)).toBe(codeVerifier.slice(0, 62))
    const skewed = (bytes: number): Uint8Array => new Uint8Array(bytes).map((_, index) => (index % 2 ? 255 : 65))
    expect((await PkceParameters.generate(skewed)).codeVerifier).toBe('~'.repeat(128))
  })

  it('gives up on a source without a usable byte [pkce.verifier-shape]', async () => {
    await expect(PkceParameters.generate((bytes) => new Uint8Array(bytes).fill(255))).rejects.toThrow(TypeError)
  })

  it('shows the verifier in no rendering [state.not-in-error] [redact.everywhere]', async () => {
    const pair = await PkceParameters.generate()
    const renderings = [
      inspect(pair, { depth: Infinity, showHidden: true, getters: false }),
      JSON.stringify(pair),
      JSON.stringify(Object.entries(pair)),
      JSON.stringify(structuredClone(pair)),
      // eslint-disable-next-line @typescript-eslint/no-base-to-string -- the rendering is what is tested
      String(pair),
    ]
    for (const rendering of renderings) expect(rendering).not.toContain(pair.codeVerifier)
  })
})

describe('PkceParameters.from(codeVerifier)', () => {
  it('gives the challenge of RFC 7636 Appendix B [pkce.s256-always]', async () => {
    const pair = await PkceParameters.from('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')
    expect(pair.codeChallenge).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
    expect(pair.codeChallengeMethod).toBe('S256')
  })

  it('agrees with oauth4webapi on every verifier [pkce.s256-always]', async () => {
    const verifier = fc.stringMatching(/^[A-Za-z0-9\-._~]{43,128}$/)
    await fc.assert(
      fc.asyncProperty(verifier, async (codeVerifier) => {
        const pair = await PkceParameters.from(codeVerifier)
        expect(pair.codeVerifier).toBe(codeVerifier)
        expect(pair.codeChallenge).toBe(await oauth.calculatePKCECodeChallenge(codeVerifier))
      }),
    )
  })

  it.each([
    ['42 characters', 'a'.repeat(42)],
    ['129 characters', 'a'.repeat(129)],
    ['a reserved character', `${'a'.repeat(50)}+`],
    ['a line break at the end', `${'a'.repeat(50)}\n`],
    ['nothing', ''],
  ])('refuses %s without showing it [pkce.verifier-shape]', async (_, codeVerifier) => {
    const error = await PkceParameters.from(codeVerifier).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    if (codeVerifier !== '') expect((error as Error).message).not.toContain(codeVerifier)
  })
})

import fc from 'fast-check'
import { OAuthDiscoveryError } from '../../lib/errors'
import { checkIssuer, isUsableIssuer, sameIssuer } from '../../lib/protocol/issuer'

describe('sameIssuer', () => {
  it.each([
    ['https://as.example', 'https://as.example'],
    ['https://as.example', 'https://as.example/'],
    ['https://as.example/', 'https://as.example'],
    ['https://as.example:8443', 'https://as.example:8443/'],
    ['https://[::1]', 'https://[::1]/'],
    ['https://as.example/t', 'https://as.example/t'],
    ['accounts.example', 'accounts.example'],
  ])('holds for %s and %s [issuer.exact] [issuer.root-slash] [AS-02]', (a, b) => {
    expect(sameIssuer(a, b)).toBe(true)
  })

  it.each([
    ['https://as.example', 'https://evil.example'],
    ['https://as.example', 'http://as.example'],
    ['https://as.example', 'HTTPS://as.example'],
    ['https://as.example', 'https://AS.example'],
    ['https://as.example', 'https://as.example:443'],
    ['https://as.example', 'https://as.example//'],
    ['https://as.example', 'https://as.example/?'],
    ['https://as.example', 'https://as.example.'],
    ['https://as.example', ' https://as.example'],
    ['https://as.example/t', 'https://as.example/t/'],
    ['https://as.example/t1', 'https://as.example/t2'],
    ['https://as.example/%74', 'https://as.example/t'],
    ['https://as.example/a/../t', 'https://as.example/t'],
    ['https://as.example?t', 'https://as.example?t/'],
    ['https://as.example#t', 'https://as.example#t/'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['accounts.example', 'accounts.example/'],
    ['https:', 'https:/'],
    ['', '/'],
  ])(
    'does not hold for %s and %s [issuer.no-other-normalising] [issuer.raw-string] [AS-01] [AS-03] [AS-06]',
    (a, b) => {
      expect(sameIssuer(a, b)).toBe(false)
      expect(sameIssuer(b, a)).toBe(false)
    },
  )

  it('is an equivalence and forgives at most one slash [issuer.root-slash]', () => {
    const issuer = fc
      .array(fc.constantFrom('https://', 'a', '/', '.', ':', '?', '#', 'A'), { maxLength: 6 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(issuer, issuer, issuer, (a, b, c) => {
        expect(sameIssuer(a, a)).toBe(true)
        expect(sameIssuer(a, b)).toBe(sameIssuer(b, a))
        if (sameIssuer(a, b) && sameIssuer(b, c)) expect(sameIssuer(a, c)).toBe(true)
        if (sameIssuer(a, b) && a !== b) expect([`${a}/`, a]).toContain(a.length < b.length ? b : a)
        expect(sameIssuer(a, `${a}//`)).toBe(false)
      }),
    )
  })
})

describe('checkIssuer', () => {
  const expected = 'https://as.example'
  const check = (received: string, trustedIssuers: readonly string[] = []) =>
    checkIssuer.bind(null, { received, expected, trustedIssuers })

  it('passes the expected issuer and trusted ones [issuer.exact] [issuer.trusted-list]', () => {
    expect(check('https://as.example/')).not.toThrow()
    expect(check('https://other.example', ['https://x.example', 'https://other.example'])).not.toThrow()
    expect(check('https://other.example', ['https://other.example/'])).not.toThrow()
  })

  it.each(['https://evil.example', 'https://as.example/t', 'no url', '', 'https://trusted.example/tenant'])(
    'refuses %j [issuer.exact] [issuer.raw-string] [issuer.trusted-list] [AS-01] [AS-06]',
    (received) => {
      expect(check(received, ['https://trusted.example'])).toThrow(OAuthDiscoveryError)
      expect(check(received, ['https://trusted.example'])).toThrow(
        expect.objectContaining({ code: 'OAUTH_ISSUER_MISMATCH' }),
      )
    },
  )

  it('shows both values, bounded and quoted, and names the option [issuer.error-shows-both]', () => {
    expect(check('https://evil.example\n"x"')).toThrow(
      /"https:\/\/evil\.example.?\\"x\\"".*"https:\/\/as\.example".*trustedIssuers/,
    )
    expect(check('x'.repeat(100_000))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,600}$/) }),
    )
  })
})

describe('isUsableIssuer', () => {
  it.each([
    'https://as.example',
    'https://as.example/',
    'https://as.example/t/1/',
    'https://as.example:8443',
    'https://10.0.0.1',
    'https://as.example/{tenantid}/v2.0',
  ])('accepts %s [prm.as-url-valid]', (issuer) => {
    expect(isUsableIssuer(issuer, false)).toBe(true)
  })

  it.each([
    undefined,
    null,
    5,
    { x: 1 },
    ['https://as.example'],
    '',
    'as.example',
    '/as',
    'https:as.example',
    'https://as.example?',
    'https://as.example/?t=1',
    'https://as.example/#',
    'https://u:p@as.example',
    'https://@as.example',
    'https://as.example/ ',
    'https://as.ex\tample',
    'http://as.example.test',
    'http://localhost',
    'ftp://as.example',
    'javascript:alert(1)',
    'https://{tenant}.as.example',
  ])('refuses %j [prm.as-url-valid] [PR-17] [PR-20] [PR-22] [AS-04]', (issuer) => {
    expect(isUsableIssuer(issuer, false)).toBe(false)
  })

  it('refuses more than 8 KB [prm.as-url-valid]', () => {
    expect(isUsableIssuer('https://as.example/'.padEnd(8193, 'a'), false)).toBe(false)
  })

  it('accepts http on a loopback host only where that is allowed [prm.as-url-valid]', () => {
    for (const issuer of ['http://localhost:3000', 'http://127.0.0.1/t', 'http://[::1]']) {
      expect([isUsableIssuer(issuer, true), isUsableIssuer(issuer, false)]).toEqual([true, false])
    }
    expect(isUsableIssuer('http://as.example', true)).toBe(false)
  })

  it('never throws whatever comes [issuer.raw-string]', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.string().map((text) => `https://${text}`),
        ),
        fc.boolean(),
        (value, loopback) => {
          if (isUsableIssuer(value, loopback))
            expect(new URL(value)).toMatchObject({ search: '', hash: '', username: '' })
        },
      ),
    )
  })
})

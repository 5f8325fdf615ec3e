import fc from 'fast-check'
import {
  classifyTokenFailure,
  parseRetryAfter,
  readTokenError,
  redactSecrets,
  type TokenFailure,
} from '../../lib/protocol/token'

describe('classifyTokenFailure({ status, oauthError, hasOAuthError })', () => {
  it.each<[TokenFailure, number, string | undefined]>([
    ['transient', 500, undefined],
    ['transient', 503, 'invalid_grant'],
    ['transient', 408, undefined],
    ['transient', 429, 'invalid_client'],
    ['transient', 403, 'server_error'],
    ['transient', 404, 'temporarily_unavailable'],
    ['transient', 200, 'server_error'],
    ['transient', 200, undefined],
    ['client', 400, 'invalid_client'],
    ['client', 401, 'invalid_client'],
    ['client', 403, 'invalid_client'],
    ['client', 200, 'invalid_client'],
    ['rejected', 400, 'invalid_grant'],
    ['rejected', 400, 'unauthorized_client'],
    ['rejected', 400, 'unsupported_grant_type'],
    ['rejected', 400, 'invalid_request'],
    ['rejected', 400, 'server_error'],
    ['rejected', 401, 'temporarily_unavailable'],
    ['rejected', 400, undefined],
    ['rejected', 401, undefined],
    ['rejected', 403, 'access_denied'],
    ['rejected', 200, 'invalid_grant'],
    ['unclear', 403, undefined],
    ['unclear', 404, undefined],
    ['unclear', 425, undefined],
    ['unclear', 200, 'bad_refresh_token'],
    ['unclear', 304, undefined],
  ])(
    'says %s for %d with %p [refresh.terminal] [refresh.transient-keeps-session] [TK-25] [TK-29] [TK-30]',
    (failure, status, oauthError) => {
      expect(classifyTokenFailure({ status, oauthError, hasOAuthError: oauthError !== undefined })).toBe(failure)
    },
  )

  it('never ends a grant because of an outage [refresh.transient-keeps-session] [TK-33]', () => {
    const statuses = fc.oneof(fc.integer({ min: 500, max: 599 }), fc.constantFrom(408, 429))
    fc.assert(
      fc.property(statuses, fc.option(fc.string(), { nil: undefined }), (status, oauthError) => {
        expect(classifyTokenFailure({ status, oauthError, hasOAuthError: oauthError !== undefined })).toBe('transient')
      }),
    )
  })
})

describe('readTokenError(document)', () => {
  it.each<[object | undefined, object | undefined]>([
    [{ error: 'a' }, { error: 'a' }],
    [
      { error: 'a', error_description: 'b' },
      { error: 'a', description: 'b' },
    ],
    [{ error: 'a', error_description: 5 }, { error: 'a' }],
    [{ error: '' }, undefined],
    [{ error: { code: 1 } }, undefined],
    [{}, undefined],
    [undefined, undefined],
  ])('reads %j as %j [token.error-parsed]', (document, expected) => {
    expect(readTokenError(document as Record<string, unknown>)).toEqual(expected)
  })
})

describe('parseRetryAfter(value, now)', () => {
  const now = Date.parse('2026-11-06T08:49:37Z')
  const day = 86_400_000

  it.each<[unknown, number | undefined]>([
    ['0', 0],
    ['120', 120_000],
    [' 120 ', 120_000],
    [120, 120_000],
    ['3600', 3_600_000],
    ['1000000000000', day],
    [1e12, day],
    ['9'.repeat(400), day],
    ['Fri, 06 Nov 2026 08:50:37 GMT', 60_000],
    ['Friday, 06-Nov-26 08:50:37 GMT', 60_000],
    ['Fri, 06 Nov 2099 08:50:37 GMT', day],
    ['Fri, 06 Nov 2026 08:49:36 GMT', undefined],
    ['Fri, 99 Nov 2026 08:49:38 GMT', undefined],
    ['-5', undefined],
    [-5, undefined],
    ['1e12', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['soon 5', undefined],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
    [true, undefined],
    [['5'], undefined],
    [NaN, undefined],
    [Infinity, undefined],
  ])('reads %p as %p [refresh.tries] [TK-31]', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })

  it('gives a finite delay of at most a day, or nothing [TK-31]', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.nat().map(String),
          fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
        ),
        (value) => {
          const delay = parseRetryAfter(value, now)
          expect(delay === undefined || (delay >= 0 && delay <= day)).toBe(true)
        },
      ),
    )
  })
})

describe('redactSecrets(text, secrets)', () => {
  it.each<[string, string, readonly string[], string]>([
    ['a secret', 'a=secret&b', ['secret'], 'a=[redacted]&b'],
    ['every occurrence', 'secret secret', ['secret'], '[redacted] [redacted]'],
    ['a secret that contains another', 'secret-2', ['secret', 'secret-2'], '[redacted]'],
    ['a form', 'x=a%2Bb%2Fc+d', ['a+b/c d'], 'x=[redacted]'],
    ['a form in lower case', 'x=a%2bb%2fc+d', ['a+b/c d'], 'x=[redacted]'],
    ['a URL', 'x=a%2Bb%20c', ['a+b c'], 'x=[redacted]'],
    ['JSON', String.raw`{"x":"a\"b"}`, ['a"b'], '{"x":"[redacted]"}'],
    ['JSON with escaped slashes', String.raw`{"x":"a\/b"}`, ['a/b'], '{"x":"[redacted]"}'],
    ['a page', 'x=a&lt;b&amp;c&#39;', [`a<b&c'`], 'x=[redacted]'],
    ['special characters of replacements', 'x$&y', ['x$&y'], '[redacted]'],
    ['nothing without secrets', 'text', [], 'text'],
    ['nothing for an empty secret', 'text', [''], 'text'],
  ])('strikes %s [token.error-parsed] [TK-24] [TK-28] [redact.everywhere]', (_, text, secrets, expected) => {
    expect(redactSecrets(text, secrets)).toBe(expected)
  })

  it('leaves no secret in any text, as it is or as a form [TK-24] [TK-28]', () => {
    const secret = fc.string({ minLength: 12, unit: 'grapheme' })
    fc.assert(
      fc.property(fc.string(), secret, fc.string(), (before, value, after) => {
        const encoded = new URLSearchParams([['', value]]).toString().slice(1)
        const struck = redactSecrets(`${before}${value}${after}${encoded}`, [value])
        expect(struck.includes(value) || struck.includes(encoded)).toBe(false)
      }),
    )
  })
})

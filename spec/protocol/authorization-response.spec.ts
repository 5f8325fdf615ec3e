import fc from 'fast-check'
import * as oauth from 'oauth4webapi'
import { OAuthAuthorizationError } from '../../lib/errors'
import { checkHostRelation, checkIss, parseAuthorizationResponse, readCode } from '../../lib/protocol/authorization'
import { thrownBy } from './thrown-by'

const issuer = 'https://as.example'

describe('parseAuthorizationResponse(callback)', () => {
  const expected = { code: 'c', state: 's', iss: issuer }
  const query = `code=c&state=s&iss=${encodeURIComponent(issuer)}`

  it.each<[string, Parameters<typeof parseAuthorizationResponse>[0], object]>([
    ['a URL', `http://127.0.0.1:4000/callback?${query}`, expected],
    ['a URL in white space', `  https://app.example/cb?${query}\n`, expected],
    ['a URL with a fragment', `https://app.example/cb?${query}#_=_`, expected],
    ['a URL of a private-use scheme', `com.example.app:/cb?${query}`, expected],
    ['a URL whose path has an equals sign', `https://app.example/a=b?${query}`, expected],
    ['a host and path', `127.0.0.1:4000/callback?${query}`, expected],
    ['a path', `/callback?${query}`, expected],
    ['a query', query, expected],
    ['a query with a question mark', `?${query}`, expected],
    ['a query with a question mark in a value', 'code=a?b&state=s', { code: 'a?b', state: 's' }],
    ['a URL object', new URL(`https://app.example/cb?${query}`), expected],
    ['search parameters', new URLSearchParams(query), expected],
    ['an object', { code: 'c', state: 's', iss: issuer }, expected],
    ['an object with nulls', { code: 'c', state: null, iss: null }, { code: 'c' }],
    ['an object whose code has special characters', { code: 'a&state=x+%20' }, { code: 'a&state=x+%20' }],
    [
      'an error',
      'error=access_denied&error_description=no+way&state=s',
      { error: 'access_denied', errorDescription: 'no way', state: 's' },
    ],
    ['an empty iss', 'code=c&iss=', { code: 'c', iss: '' }],
    ['a URL without a query', 'https://app.example/cb', {}],
    ['a word', 'nonsense', {}],
    ['nothing', '', {}],
    ['escapes that decode to nothing', 'code=%zz&state=%ff&state[]=x', { code: '%zz', state: '\ufffd' }],
  ])('reads %s [flow.two-handlers] [flow.two-phase] [CB-22] [CB-23]', (_, callback, response) => {
    expect(parseAuthorizationResponse(callback)).toEqual(response)
  })

  it.each([
    ['two states', 'state=attacker&state=right&code=c'],
    ['two codes', 'code=a&code=b&state=s'],
    ['the same code twice', 'code=a&code=a&state=s'],
    ['two issuers', `code=c&iss=${issuer}&iss=https://evil.example`],
    ['two errors', 'error=a&error=b'],
    ['a state twice in different spellings', 'state=a&%73tate=b&code=c'],
    ['an access token', 'code=c&state=s&access_token=secret'],
    ['an ID token', 'code=c&state=s&id_token=secret'],
    ['a JARM response', 'response=secret&state=s'],
  ])('refuses %s and shows none of it [callback.malformed] [CB-04] [CB-10] [CB-11] [CB-16] [CB-17]', (_, query) => {
    for (const callback of [query, `https://app.example/cb?${query}`, new URLSearchParams(query)]) {
      const error = thrownBy(() => parseAuthorizationResponse(callback))
      expect(error).toBeInstanceOf(OAuthAuthorizationError)
      expect(error.code).toBe('OAUTH_CALLBACK_INVALID')
      expect(error.message).not.toMatch(/secret|attacker|evil/)
    }
  })

  it('refuses an object with members that are no text [callback.malformed]', () => {
    const callback = { code: ['a', 'b'], state: 's' } as unknown as { code: string }
    expect(thrownBy(() => parseAuthorizationResponse(callback)).code).toBe('OAUTH_CALLBACK_INVALID')
  })

  it('throws nothing but OAUTH_CALLBACK_INVALID on any input [CB-22] [CB-23]', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.anything(), fc.webUrl({ withQueryParameters: true })),
        (callback) => {
          try {
            readCode(parseAuthorizationResponse(callback as string))
          } catch (error) {
            expect(['OAUTH_CALLBACK_INVALID', 'OAUTH_AUTHORIZATION_DENIED']).toContain(
              (error as OAuthAuthorizationError).code,
            )
          }
        },
      ),
    )
  })

  it('reads back what a server writes [callback.malformed]', () => {
    const text = fc.string({ minLength: 1, unit: 'grapheme' })
    fc.assert(
      fc.property(text, text, text, (code, state, iss) => {
        const written = new URLSearchParams({ code, state, iss }).toString()
        for (const callback of [written, `?${written}`, `https://app.example/cb?${written}`]) {
          expect(parseAuthorizationResponse(callback)).toEqual({ code, state, iss })
        }
      }),
    )
  })
})

describe('checkIss(response, { issuer, advertised, trustedIssuers })', () => {
  it.each<[string, object, boolean, readonly string[]]>([
    ['the recorded issuer', { iss: issuer }, true, []],
    ['the recorded issuer, not advertised', { iss: issuer }, false, []],
    ['no iss where none is advertised', {}, false, []],
    ['a trusted issuer', { iss: 'https://sibling.example' }, true, ['https://sibling.example']],
  ])(
    'accepts %s [iss.present-compared] [iss.unadvertised-absent] [iss.trusted-list] [AS-26] [CB-09]',
    (_, response, advertised, trustedIssuers) => {
      expect(() => checkIss(response, { issuer, advertised, trustedIssuers })).not.toThrow()
    },
  )

  it.each([
    ['another issuer', 'https://evil.example'],
    ['a trailing slash', `${issuer}/`],
    ['another case', 'https://AS.example'],
    ['another case of the scheme', 'HTTPS://as.example'],
    ['the default port', `${issuer}:443`],
    ['a percent-encoding', 'https://%61s.example'],
    ['an empty iss', ''],
  ])(
    'refuses %s, advertised or not, and shows both [iss.present-compared] [iss.no-tolerance] [CB-05] [CB-06] [CB-07] [CB-08]',
    (_, iss) => {
      for (const advertised of [true, false]) {
        const error = thrownBy(() =>
          checkIss({ iss, code: 'c' }, { issuer, advertised, trustedIssuers: ['https://x.example'] }),
        )
        expect(error).toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH', phase: 'authorization', retryable: false })
        expect(error.message).toContain(JSON.stringify(issuer))
        expect(error.message).toContain(JSON.stringify(iss))
        expect(error.hint).toContain('trustedIssuers')
      }
    },
  )

  it('refuses a missing iss that is advertised and says whose fault it is [iss.advertised-missing] [AS-26]', () => {
    const error = thrownBy(() => checkIss({ code: 'c' }, { issuer, advertised: true, trustedIssuers: [] }))
    expect(error.code).toBe('OAUTH_ISSUER_MISMATCH')
    expect(error.hint).toContain('authorization server')
  })

  it('shows nothing that the callback says about an error [iss.before-error] [CB-14]', () => {
    const response = parseAuthorizationResponse(
      'error=call_555&error_description=Call+555+now&error_uri=https://evil.example/help&iss=https://evil.example',
    )
    const error = thrownBy(() => checkIss(response, { issuer, advertised: true, trustedIssuers: [] }))
    expect(JSON.stringify(error)).not.toMatch(/555|help/)
  })

  // An empty iss is left out: oauth4webapi takes it for a missing one, we compare it [CB-08].
  it('decides like oauth4webapi for every iss [iss.present-compared] [iss.no-tolerance]', () => {
    const isses = fc.constantFrom(undefined, issuer, `${issuer}/`, 'https://AS.example', `${issuer}:443`, 'x')
    fc.assert(
      fc.property(isses, fc.boolean(), (iss, advertised) => {
        const server = { issuer, authorization_response_iss_parameter_supported: advertised }
        const parameters = new URLSearchParams({ code: 'c', ...(iss !== undefined && { iss }) })
        const oracle = outcome(() =>
          oauth.validateAuthResponse(server, { client_id: 'c' }, parameters, oauth.expectNoState),
        )
        const ours = outcome(() =>
          checkIss(parseAuthorizationResponse(parameters), { issuer, advertised, trustedIssuers: [] }),
        )
        expect(ours).toBe(oracle)
      }),
    )
  })
})

function outcome(call: () => unknown): 'accepted' | 'refused' {
  try {
    call()
    return 'accepted'
  } catch {
    return 'refused'
  }
}

describe('readCode(response)', () => {
  it.each([
    ['a code', { code: 'c' }, 'c'],
    ['a code with line breaks, which a form encodes', { code: 'c\r\nX: 1' }, 'c\r\nX: 1'],
  ])('gives %s [callback.malformed] [CB-34]', (_, response, code) => {
    expect(readCode(response)).toBe(code)
  })

  it.each<[string, object]>([
    ['neither code nor error', {}],
    ['an empty code', { code: '' }],
    ['an empty error', { error: '' }],
    ['both', { code: 'c', error: 'access_denied' }],
    ['a code and an empty error', { code: 'c', error: '' }],
    ['a code of 1 MB', { code: 'c'.repeat(2 ** 20) }],
  ])('refuses %s [callback.malformed] [CB-12] [CB-13] [CB-34]', (_, response) => {
    expect(thrownBy(() => readCode(response)).code).toBe('OAUTH_CALLBACK_INVALID')
  })

  it('surfaces the error of the server, on one line and without controls [callback.error-surfaced] [CB-15]', () => {
    const description = '\u001b[31mDenied\r\n<script>'
    const error = thrownBy(() => readCode({ error: 'access_denied', errorDescription: description }))
    expect(error).toBeInstanceOf(OAuthAuthorizationError)
    expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED', oauthError: 'access_denied' })
    expect(error.oauthErrorDescription).toBe(' [31mDenied <script>')
    expect(error.message).toMatch(/^[\x20-\x7e]+$/)
  })

  it('keeps a code outside the character set of RFC 6749 out of oauthError [callback.error-surfaced] [CB-29]', () => {
    const error = thrownBy(() => readCode({ error: 'bad"\u0000<script>' }))
    expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    expect(error.oauthError).toBeUndefined()
  })
})

describe('checkHostRelation({ authorizationEndpoint, tokenEndpoint, issuer, trustedEndpoints })', () => {
  const endpoints = (authorization: string, token: string, from = issuer): Parameters<typeof checkHostRelation>[0] => ({
    authorizationEndpoint: `https://${authorization}/authorize`,
    tokenEndpoint: `https://${token}/token`,
    issuer: from,
    trustedEndpoints: [],
  })

  it.each<[string, string, string, string]>([
    ['the host of the issuer', 'as.example', 'tokens.other', issuer],
    ['the host of the token endpoint', 'login.other', 'login.other', issuer],
    ['a subdomain of the issuer', 'login.as.example', 'tokens.other', issuer],
    ['a parent of the issuer', 'as.example', 'tokens.other', 'https://tenant.as.example/1'],
    ['a parent of the token endpoint', 'google.example', 'oauth2.google.example', 'https://accounts.other'],
    ['the same host on another port', 'as.example:8443', 'tokens.other', issuer],
    ['the same host in another case', 'AS.example', 'tokens.other', issuer],
    ['the same address', '[::1]:1', '[::1]:2', issuer],
  ])('accepts %s [mixup.host-rule] [CB-09]', (_, authorization, token, from) => {
    expect(() => checkHostRelation(endpoints(authorization, token, from))).not.toThrow()
  })

  it.each<[string, string, string, string]>([
    [
      'the page of an honest server with the issuer of another',
      'honest.example',
      'evil.example',
      'https://evil.example',
    ],
    ['sibling hosts', 'app.corp.example', 'api.corp.example', 'https://api.corp.example'],
    ['a host that only ends alike', 'nas.example', 'as.example', issuer],
    ['a host that only begins alike', 'as.example.evil.test', 'as.example', issuer],
  ])(
    'refuses %s and names host and option [mixup.host-rule] [mixup.trusted-endpoints] [AS-20]',
    (_, authorization, token, from) => {
      const error = thrownBy(() => checkHostRelation(endpoints(authorization, token, from)))
      expect(error).toMatchObject({ code: 'OAUTH_ISSUER_MISMATCH', phase: 'authorization' })
      expect(error.message).toContain(authorization)
      expect(error.hint).toContain('trustedEndpoints')
    },
  )

  it('accepts an endpoint that is trusted, as it is written [mixup.trusted-endpoints]', () => {
    const o = endpoints('app.corp.example', 'api.corp.example')
    expect(() => checkHostRelation({ ...o, trustedEndpoints: [o.authorizationEndpoint] })).not.toThrow()
    expect(() => checkHostRelation({ ...o, trustedEndpoints: ['https://app.corp.example'] })).toThrow()
  })
})

import fc from 'fast-check'
import * as oauth from 'oauth4webapi'
import { OAuthTokenError } from '../../lib/errors'
import { parseTokenResponse } from '../../lib/protocol/token'
import { thrownBy } from './thrown-by'

type Answer = Parameters<typeof parseTokenResponse>[0]
const endpoint = 'https://as.example/token'
const form = 'application/x-www-form-urlencoded'

const parse = (body: unknown, o: Partial<Answer> = {}): object =>
  parseTokenResponse({ status: 200, body, endpoint, proofSent: false, dpopRequired: false, ...o })
const members = (more: object = {}): string => JSON.stringify({ access_token: 'a', token_type: 'Bearer', ...more })
const bearer = { access_token: 'a', token_type: 'Bearer' }

describe('parseTokenResponse(answer): what is accepted', () => {
  it.each<[string, unknown, Partial<Answer>, object]>([
    ['JSON text', members(), {}, {}],
    ['JSON text under another content type', members(), { contentType: 'text/html' }, {}],
    ['an object that an adapter parsed', { ...bearer }, {}, {}],
    [
      'a form whose content type says so',
      'access_token=a&token_type=bearer&scope=x+y',
      { contentType: `${form.toUpperCase()}; charset=utf-8` },
      { scope: 'x y' },
    ],
    ['JSON under the content type of a form', members(), { contentType: form }, {}],
    ['201', members(), { status: 201 }, {}],
    ['unknown members', members({ x: { y: 1 }, issuer: 'i' }), {}, { x: { y: 1 }, issuer: 'i' }],
    ['expires_in as text', members({ expires_in: '3600' }), {}, { expires_in: 3600 }],
    ['a negative expires_in', members({ expires_in: -1 }), {}, { expires_in: 0 }],
    ['an unusable expires_in', members({ expires_in: 'soon' }), {}, {}],
    ['an infinite expires_in', '{"access_token":"a","expires_in":1e999}', {}, {}],
    ['null members', members({ refresh_token: null, scope: null, expires_in: null, id_token: null }), {}, {}],
    ['empty members', members({ refresh_token: '', scope: '', expires_in: '', id_token: '' }), {}, {}],
    ['members of the wrong type', members({ refresh_token: 7, scope: ['read'], id_token: {} }), {}, {}],
    ['a refresh token', members({ refresh_token: 'r' }), {}, { refresh_token: 'r' }],
    ['a scope with commas and duplicates', members({ scope: 'a,b,a' }), {}, { scope: 'a b' }],
    ['an ID token of 1 MB, which is ignored', members({ id_token: 'i'.repeat(2 ** 20) }), {}, {}],
    ['an error without a value', members({ error: null }), {}, {}],
    ['an empty error', members({ error: '', error_description: 'x' }), {}, {}],
    ['no token type', '{"access_token":"a"}', {}, {}],
    ['an empty token type', members({ token_type: '' }), {}, {}],
    ['another case of the type', members({ token_type: 'BEARER' }), {}, {}],
    [
      'a bound token after a proof',
      members({ token_type: 'dpop' }),
      { proofSent: true, dpopRequired: true },
      { token_type: 'DPoP' },
    ],
    ['Bearer after a proof where DPoP is not required', members(), { proofSent: true }, {}],
    [
      'no access token from an exchange',
      members({ token_type: 'N_A', issued_token_type: 't' }),
      { exchange: true },
      { token_type: 'N_A', issued_token_type: 't' },
    ],
  ])(
    'reads %s [token.any-2xx] [token.body-shapes] [token.type] [token.null-members] [scope.lenient-format] [TK-04] [TK-05] [TK-13] [TK-14] [TK-21] [TK-23] [TK-27] [TK-44] [TK-46]',
    (_, body, o, expected) => {
      expect(parse(body, o)).toEqual({ ...bearer, ...expected })
    },
  )

  it('reads what oauth4webapi reads [token.any-2xx]', async () => {
    const document = { access_token: 'a', token_type: 'bearer', expires_in: 60, refresh_token: 'r', scope: 'x y' }
    const as = { issuer: 'https://as.example' }
    const oracle = await oauth.processRefreshTokenResponse(as, { client_id: 'c' }, Response.json(document))
    expect(parse(JSON.stringify(document))).toEqual({ ...oracle, token_type: 'Bearer' })
  })
})

describe('parseTokenResponse(answer): what is refused for good', () => {
  it.each<[string, string, Partial<Answer>]>([
    ['a MAC token', members({ token_type: 'mac' }), {}],
    ['a token type that is no text', members({ token_type: ['Bearer'] }), {}],
    ['a bound token although no proof was sent', members({ token_type: 'DPoP' }), {}],
    ['Bearer where DPoP is required', members(), { proofSent: true, dpopRequired: true }],
    ['no type where DPoP is required', '{"access_token":"a"}', { proofSent: true, dpopRequired: true }],
    ['N_A outside an exchange', members({ token_type: 'N_A' }), {}],
    ['no access token', '{"token_type":"Bearer"}', {}],
    ['an empty object', '{}', {}],
    ['an empty access token', members({ access_token: '' }), {}],
    ['a number as access token', members({ access_token: 7 }), {}],
    ['a line break in the token', members({ access_token: 'a\r\nX-Injected: 1' }), {}],
    ['a line break at the end of the token', members({ access_token: 'a\n' }), {}],
    ['a blank in the token', members({ access_token: 'a b' }), {}],
    ['letters beyond ASCII', members({ access_token: '\u00e9' }), {}],
    ['an emoji', members({ access_token: '\u{1f600}' }), {}],
    ['a token of 1 MB', members({ access_token: 'a'.repeat(2 ** 20) }), {}],
    ['a token and an error', members({ error: 'invalid_grant' }), {}],
    ['an error that is no text', '{"error":{"code":5}}', {}],
    ['a form under another content type', 'access_token=a&token_type=bearer', { contentType: 'text/plain' }],
    ['a form without a content type', 'token_type=bearer&access_token=a', {}],
    ['a form without a token', 'token_type=bearer', { contentType: form }],
  ])(
    'refuses %s [token.charset] [token.type] [token.error-first] [TK-01] [TK-02] [TK-03] [TK-04] [TK-06] [TK-07] [TK-08] [TK-09] [TK-10] [TK-26] [TK-27]',
    (_, body, o) => {
      const error = thrownBy(() => parse(body, o))
      expect(error).toBeInstanceOf(OAuthTokenError)
      expect(error).toMatchObject({
        code: 'OAUTH_TOKEN_INVALID',
        phase: 'token',
        retryable: false,
        endpoint,
        status: 200,
      })
    },
  )
})

describe('parseTokenResponse(answer): what the server refuses', () => {
  it.each<[string, number, string, Partial<Answer>, string]>([
    ['an OAuth error', 400, '{"error":"invalid_grant"}', {}, 'invalid_grant'],
    ['an OAuth error under 200', 200, '{"error":"bad_refresh_token"}', {}, 'bad_refresh_token'],
    ['an OAuth error with an empty token', 200, '{"error":"invalid_grant","access_token":""}', {}, 'invalid_grant'],
    ['an OAuth error with a token under 400', 400, members({ error: 'invalid_grant' }), {}, 'invalid_grant'],
    [
      'an OAuth error in another media type',
      400,
      '{"error":"invalid_grant"}',
      { contentType: 'Application/Problem+JSON; v=1' },
      'invalid_grant',
    ],
    ['an OAuth error without a media type', 401, '{"error":"invalid_client"}', {}, 'invalid_client'],
    ['an OAuth error in a form', 400, 'error=invalid_grant', { contentType: form }, 'invalid_grant'],
    ['server_error under 400, which is definitive', 400, '{"error":"server_error"}', {}, 'server_error'],
    ['an OAuth error under 403', 403, '{"error":"access_denied"}', {}, 'access_denied'],
  ])(
    'reports %s with its code [token.error-first] [token.error-parsed] [TK-25] [TK-29] [TK-30]',
    (_, status, body, o, oauthError) => {
      const error = thrownBy(() => parse(body, { status, ...o }))
      expect(error).toMatchObject({
        code: 'OAUTH_TOKEN_ENDPOINT_ERROR',
        retryable: false,
        oauthError,
        status,
        endpoint,
      })
    },
  )

  it.each([
    ['an empty body', ''],
    ['a page', '<html>no</html>'],
    ['another object', '{"message":"no"}'],
    ['an error that is no text', '{"error":{"code":1}}'],
  ])('reports 400 and 401 with %s as definitive [token.error-parsed]', (_, body) => {
    for (const status of [400, 401]) {
      const error = thrownBy(() => parse(body, { status }))
      expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', retryable: false, status })
      expect(error.oauthError).toBeUndefined()
    }
  })

  it('quotes what is no OAuth error, shortened and on one line [token.error-parsed] [errors.quoted]', () => {
    const error = thrownBy(() => parse(`<html>\r\n\u001b[31m${'x'.repeat(5000)}`, { status: 400 }))
    expect(error.message).toContain('answered 400')
    expect(error.message).toContain('<html> [31mxxx')
    expect(error.message.length).toBeLessThan(400)
    expect(error.message).toMatch(/^[^\p{Cc}]+$/u)
  })

  it.each(['invalid_target', 'AADSTS9010010'])('names the option `resource` after %s [resource.override]', (text) => {
    const error = thrownBy(() => parse(JSON.stringify({ error: text, error_description: text }), { status: 400 }))
    expect(error.hint).toContain('`resource`')
  })
})

describe('parseTokenResponse(answer): what decides nothing', () => {
  it.each<[string, number, unknown]>([
    ['500', 500, '{"error":"server_error"}'],
    ['500 with a definitive code', 500, '{"error":"invalid_grant"}'],
    ['502 with a page', 502, '<html>Bad gateway</html>'],
    ['429', 429, ''],
    ['408', 408, '{"error":"invalid_grant"}'],
    ['temporarily_unavailable under 403', 403, '{"error":"temporarily_unavailable"}'],
    ['server_error under 200', 200, '{"error":"server_error"}'],
    ['an empty 403', 403, ''],
    ['a firewall page', 403, '<html>Blocked</html>'],
    ['a cut object', 200, '{"access_token":"a","token_type":"Bea'],
    ['an empty body', 200, ''],
    ['no body', 200, undefined],
    ['a page', 200, '<html>Sign in</html>'],
    ['an array', 200, '[{"access_token":"a"}]'],
    ['null', 200, 'null'],
    ['a bare text', 200, '"a"'],
    ['204 with a body', 204, members()],
    ['206 with a body', 206, members()],
    ['text that was damaged on its way', 200, members({ access_token: 'a\ufffd' })],
  ])(
    'is retryable after %s [token.any-2xx] [token.body-shapes] [refresh.transient-keeps-session] [TK-24] [TK-32] [TK-38] [TK-46]',
    (_, status, body) => {
      const error = thrownBy(() => parse(body, { status, retryAfter: 5_000 }))
      expect(error).toBeInstanceOf(OAuthTokenError)
      expect(error).toMatchObject({
        code: 'OAUTH_TEMPORARY',
        phase: 'token',
        retryable: true,
        status,
        retryAfter: 5_000,
      })
    },
  )
})

describe('parseTokenResponse(answer): time', () => {
  it.each([
    ['pairs of a form', 'a=b&'.repeat(130_000)],
    ['ampersands', '&'.repeat(500_000)],
    ['a long name', 'a'.repeat(500_000)],
    ['open brackets', '['.repeat(500_000)],
  ])('takes linear time for 512 KB of %s [TK-38]', (_, body) => {
    const startedAt = performance.now()
    expect(() => parse(body)).toThrow(OAuthTokenError)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})

describe('parseTokenResponse(answer): transform', () => {
  const nested = JSON.stringify({ ok: true, authed_user: { access_token: 'a', token_type: 'user' } })
  const unnest = (body: unknown): unknown => ({
    ...(body as { authed_user: object }).authed_user,
    token_type: 'Bearer',
  })

  it('reshapes a successful answer before it is checked [token.transform]', () => {
    expect(parse(nested, { transform: unnest })).toEqual(bearer)
    expect(parse(nested, { transform: () => members() })).toEqual(bearer)
  })

  it('turns a private code under 200 into one of OAuth [token.transform] [TK-25]', () => {
    const error = thrownBy(() =>
      parse('{"error":"bad_refresh_token"}', { transform: () => ({ error: 'invalid_grant' }) }),
    )
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_grant' })
  })

  it('never sees a failed answer [token.transform]', () => {
    const transform = jest.fn(unnest)
    expect(() => parse('{"error":"invalid_grant"}', { status: 400, transform })).toThrow()
    expect(() => parse('', { status: 200, transform })).toThrow()
    expect(transform).not.toHaveBeenCalled()
  })

  it.each<[string, (body: unknown) => unknown]>([
    [
      'throws',
      () => {
        throw new Error('tops3cret')
      },
    ],
    ['gives nothing', () => undefined],
    ['gives an array', () => []],
    [
      'changes its argument and gives something else',
      (body) => {
        ;(body as { access_token: string }).access_token = 'x'
        return null
      },
    ],
  ])('is refused when it %s [token.transform]', (_, transform) => {
    const error = thrownBy(() => parse(members(), { transform }))
    expect(error.code).toBe('OAUTH_TOKEN_INVALID')
    expect(error.message).toContain('transformTokenResponse')
    expect(JSON.stringify([error, String(error.cause)])).not.toContain('tops3cret')
  })
})

describe('parseTokenResponse(answer): secrets', () => {
  const secrets = ['c0de/+=&"<é', 'refresh-token']
  const echo = new URLSearchParams({ code: secrets[0] ?? '', refresh_token: 'refresh-token' }).toString()

  it.each<[string, number, string]>([
    ['a page that echoes the request', 502, `<html>${echo}</html>`],
    ['a definitive page', 400, `${echo}`],
    [
      'a description',
      400,
      JSON.stringify({ error: 'invalid_grant', error_description: `\u001b[1m${secrets.join(' ')} ${echo}` }),
    ],
    ['a code', 400, JSON.stringify({ error: 'refresh-token' })],
    ['a token type', 200, members({ token_type: 'refresh-token' })],
  ])('are struck from %s [token.error-parsed] [TK-24] [TK-28] [redact.everywhere]', (_, status, body) => {
    const error = thrownBy(() => parse(body, { status, secrets }))
    const rendering = `${error.message} ${JSON.stringify(error)} ${error.stack ?? ''}`
    expect(rendering).not.toMatch(/c0de|refresh-token/)
    expect(rendering).not.toContain('\u001b')
  })

  it('gives a token or throws an OAuthTokenError, for any body and status [token.body-shapes] [TK-06]', () => {
    const body = fc.oneof(
      fc.anything(),
      fc.json(),
      fc.dictionary(fc.constantFrom('access_token', 'error', 'token_type', 'scope'), fc.jsonValue()),
    )
    fc.assert(
      fc.property(
        body,
        fc.integer({ min: 200, max: 599 }),
        fc.option(fc.constantFrom(form, 'application/json'), { nil: undefined }),
        (value, status, contentType) => {
          try {
            expect(parse(value, { status, contentType })).toMatchObject({
              access_token: expect.stringMatching(/^[\x21-\x7e]+$/),
            })
          } catch (error) {
            expect(error).toBeInstanceOf(OAuthTokenError)
          }
        },
      ),
    )
  })
})

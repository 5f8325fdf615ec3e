import fc from 'fast-check'
import { isOAuthFlowError, OAuthAuthorizationError, OAuthDiscoveryError } from '../../lib/errors'
import type { OAuthFlowError } from '../../lib/errors'
import { checkAuthorizationUrl, checkEndpoint, isLoopbackUrl } from '../../lib/protocol/endpoint'

const rule = { name: 'token_endpoint', loopback: false, publicOnly: true }

function failure(act: () => unknown): OAuthFlowError {
  try {
    act()
  } catch (error) {
    if (isOAuthFlowError(error)) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('checkEndpoint', () => {
  it.each([
    'https://as.example/token',
    'HTTPS://AS.Example:8443/token?tenant=1',
    'https://as.example',
    'https://as.example/@me?x=@',
    'https://8.8.8.8/token',
    `https://as.example/?a=$(calc)&b=\`id\`&d=1|calc&e='";x`,
  ])('answers %s unchanged [as-metadata.https-endpoints]', (url) => {
    expect(checkEndpoint(url, rule)).toBe(url)
  })

  it.each([
    'http://as.example/token',
    'http://localhost/token',
    'javascript:alert(1)',
    'javascript://as.example/%0aalert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ms-msdt:/id',
    'vscode://x',
    'vbscript:x',
    'search-ms:query',
    'ftp://as.example/',
    'blob:https://as.example/1',
    '--version',
    '-a Calculator',
    '/token',
    '//as.example/token',
    'https:as.example',
    'https:///as.example',
    'https://',
    'https://[',
    'https://as.example:99999/',
    '',
    'token#x',
  ])(
    'refuses %j, which is no https URL [as-metadata.https-endpoints] [WA-37] [AS-10] [AS-11] [AS-12] [AS-13] [AS-15] [AS-18] [AS-19] [AS-24]',
    (url) => {
      expect(failure(() => checkEndpoint(url, rule))).toMatchObject({ code: 'OAUTH_URL_FORBIDDEN', phase: 'discovery' })
    },
  )

  it.each([
    'https://u:p@as.example/',
    'https://u@as.example/',
    'https://@as.example/',
    'https://:@as.example',
    'https://x@127.0.0.1@h.example/',
    'https://a:b%40@h.example?',
  ])('refuses the userinfo of %s and does not show it [as-metadata.https-endpoints] [WA-23] [AS-23]', (url) => {
    const error = failure(() => checkEndpoint(url, rule))
    expect(error).toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
    expect(JSON.stringify(error)).not.toContain('u:p')
  })

  it.each([
    'https://as.ex\tample/',
    'https://as.example/\r\nX: y',
    ' https://as.example',
    'https://as.example/a b',
    'https://as.example/\u0000',
    'https://as.example/\u0085',
    'https://as.example/\u2028',
    '\ufeffhttps://as.example',
  ])('refuses the blank or control character in %j [authz-url.safe-to-open] [AS-40]', (url) => {
    const error = failure(() => checkEndpoint(url, rule))
    expect(error).toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
    expect(error.message).not.toMatch(/[\r\n\t]/)
  })

  it('refuses more than 8 KB [AS-40]', () => {
    const url = (length: number): string => 'https://as.example/'.padEnd(length, 'a')
    expect(checkEndpoint(url(8192), rule)).toHaveLength(8192)
    for (const length of [8193, 2_000_000]) {
      const error = failure(() => checkEndpoint(url(length), rule))
      expect([error.code, error.message.length < 1024]).toEqual(['OAUTH_URL_FORBIDDEN', true])
    }
  })

  it.each(['https://as.example/authorize#', 'https://as.example/#x', 'https://as.example/?a=b#c'])(
    'calls metadata with the fragment of %s invalid [AS-16]',
    (url) => {
      expect(failure(() => checkEndpoint(url, rule))).toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
    },
  )

  it.each(['169.254.169.254', '[::ffff:a9fe:a9fe]', '10.0.0.1', '192.168.1.1', '0x7f.1', 'localhost', 'a.localhost'])(
    'refuses the private host %s only where the server is public [WA-19] [WA-20] [WA-27] [PR-21] [AS-22]',
    (host) => {
      const url = `https://${host}/token`
      expect(failure(() => checkEndpoint(url, rule))).toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
      expect(checkEndpoint(url, { ...rule, publicOnly: false })).toBe(url)
    },
  )

  it('allows http on a loopback host only where the server is on one [as-metadata.https-endpoints] [prm.header-other-origin]', () => {
    const local = { ...rule, loopback: true, publicOnly: false }
    for (const host of ['localhost:3000', '127.0.0.1', '[::1]:80']) {
      expect(checkEndpoint(`http://${host}/token`, local)).toBe(`http://${host}/token`)
      const remote = { ...rule, publicOnly: false }
      expect(failure(() => checkEndpoint(`http://${host}/token`, remote)).code).toBe('OAUTH_URL_FORBIDDEN')
    }
    for (const host of ['127.0.0.2', '10.0.0.1', 'localhost.', 'a.localhost', 'as.example', 'localhost@as.example']) {
      expect(failure(() => checkEndpoint(`http://${host}/token`, local)).code).toBe('OAUTH_URL_FORBIDDEN')
    }
  })

  it('says which member of which phase was refused [as-metadata.https-endpoints]', () => {
    const error = failure(() => checkEndpoint('http://as.example/token?secret=1', { ...rule, phase: 'token' }))
    expect(error).toBeInstanceOf(OAuthDiscoveryError)
    expect(error).toMatchObject({ phase: 'token', endpoint: 'http://as.example/token' })
    expect(error.message).toContain('token_endpoint "http://as.example/token"')
    expect(error.message).not.toContain('secret')
  })

  it('answers its input or throws a typed error, whatever comes [as-metadata.https-endpoints]', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withFragments: true }),
      fc.string().map((s) => `https://${s}`),
    )
    fc.assert(
      fc.property(text, fc.boolean(), fc.boolean(), (url, loopback, publicOnly) => {
        try {
          expect(checkEndpoint(url, { ...rule, loopback, publicOnly })).toBe(url)
          expect(new URL(url)).toMatchObject({ username: '', password: '', hash: '' })
        } catch (error) {
          expect(isOAuthFlowError(error)).toBe(true)
        }
      }),
    )
  })
})

describe('isLoopbackUrl', () => {
  it.each([
    ['http://localhost:3000/mcp', true],
    ['HTTP://LOCALHOST', true],
    ['http://127.1/', true],
    ['https://[::1]/', true],
    ['http://127.0.0.2/', false],
    ['https://localhost.example.com/', false],
    ['localhost', false],
    ['', false],
  ])('judges the host of %j [as-metadata.https-endpoints]', (url, expected) => {
    expect(isLoopbackUrl(url)).toBe(expected)
  })
})

describe('checkAuthorizationUrl', () => {
  it.each([
    ['https://as.example', 'https://as.example/'],
    ['https://AS.example/a?b=c', 'https://as.example/a?b=c'],
    ['http://localhost:3000/authorize', 'http://localhost:3000/authorize'],
    ['https://as.example/device#code', 'https://as.example/device#code'],
    [`https://as.example/?a="b<c>'d`, 'https://as.example/?a=%22b%3Cc%3E%27d'],
  ])('answers the serialised form of %s [authz-url.safe-to-open] [AS-14]', (url, expected) => {
    expect(checkAuthorizationUrl(url)).toBe(expected)
  })

  it.each([
    'javascript:alert(1)',
    'file:///etc/passwd',
    'http://as.example/',
    'https://u:p@as.example/',
    'https://as.example/\n-x',
    'https://as.ex\tample/',
    '--version',
    '',
  ])('refuses %j [authz-url.safe-to-open] [AS-10] [AS-15] [AS-40]', (url) => {
    const error = failure(() => checkAuthorizationUrl(url))
    expect(error).toBeInstanceOf(OAuthAuthorizationError)
    expect(error.code).toBe('OAUTH_URL_FORBIDDEN')
  })

  it('refuses what is too long for a browser [authz-url.safe-to-open] [WA-28] [AS-40]', () => {
    const url = (length: number): string => 'https://as.example/?'.padEnd(length, 'a')
    expect(checkAuthorizationUrl(url(16_384))).toHaveLength(16_384)
    expect(failure(() => checkAuthorizationUrl(url(16_385))).code).toBe('OAUTH_URL_FORBIDDEN')
  })

  it('is idempotent and answers nothing that a launcher could take for an option [authz-url.safe-to-open] [AS-15]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.string()), (url) => {
        try {
          const href = checkAuthorizationUrl(url)
          expect(href).toMatch(/^https?:\/\/[^\s"<>\\^]*$/)
          expect(checkAuthorizationUrl(href)).toBe(href)
        } catch (error) {
          expect(isOAuthFlowError(error)).toBe(true)
        }
      }),
    )
  })
})

import { AxiosHeaders } from 'axios'
import fc from 'fast-check'
import { parseChallenges, readChallenge, resolveResourceMetadata } from '../../lib/protocol/challenge'
import type { Challenge, HeaderLookup } from '../../lib/protocol/challenge'

const location = 'https://api.example.com/.well-known/oauth-protected-resource/mcp'

/** `scheme name=a|b name=c`, or `scheme:token68`, one string for each challenge. */
function brief(challenges: readonly Challenge[]): readonly string[] {
  return challenges.map(({ scheme, params, token68 }) => {
    const written = [...params].map(([name, values]) => `${name}=${values.join('|')}`)
    return [token68 === undefined ? scheme : `${scheme}:${token68}`, ...written].join(' ')
  })
}

function headersOf(value: unknown): HeaderLookup {
  return (name) => (name.toLowerCase() === 'www-authenticate' ? value : undefined)
}

function table(cases: readonly (readonly [header: unknown, expected: readonly string[]])[]): void {
  for (const [header, expected] of cases) expect([header, brief(parseChallenges(header))]).toEqual([header, expected])
}

describe('parseChallenges', () => {
  it('finds a challenge at any position of a header [challenge.scheme-order] [WA-01] [WA-03]', () => {
    table([
      ['Bearer scope="read"', ['bearer scope=read']],
      ['Basic realm="x", Bearer scope="read"', ['basic realm=x', 'bearer scope=read']],
      ['Negotiate, Bearer scope="read"', ['negotiate', 'bearer scope=read']],
      ['Bearer, Basic realm="x"', ['bearer', 'basic realm=x']],
      [
        'DPoP algs="ES256 PS256", error="use_dpop_nonce", Bearer scope="a b"',
        ['dpop algs=ES256 PS256 error=use_dpop_nonce', 'bearer scope=a b'],
      ],
      ['Bearer scope="a", Bearer scope="b"', ['bearer scope=a', 'bearer scope=b']],
    ])
  })

  it('reads lines, joined lines and AxiosHeaders alike [challenge.several-headers] [WA-02]', () => {
    const lines = ['Basic realm="x, y"', 'Bearer scope="read"', 'error="invalid_token"', 'Negotiate abc==']
    const expected = ['basic realm=x, y', 'bearer scope=read error=invalid_token', 'negotiate:abc==']
    table([
      [lines, expected],
      [lines.join(', '), expected],
      [lines.join(','), expected],
      [new AxiosHeaders({ 'WWW-Authenticate': lines.join(', ') }).get('www-authenticate'), expected],
      [new AxiosHeaders({ 'WWW-Authenticate': lines }).get('www-authenticate'), expected],
      [[null, 7, '', 'Bearer'], ['bearer']],
    ])
  })

  it('keeps commas, equals signs and escaped characters in a quoted value [challenge.quoted-string] [WA-04] [WA-09] [WA-14]', () => {
    table([
      ['Bearer error_description="a, b=c, d", scope="x"', ['bearer error_description=a, b=c, d scope=x']],
      [
        String.raw`Bearer error_description="say \"hi\", scope=\"admin\"", scope="read"`,
        ['bearer error_description=say "hi", scope="admin" scope=read'],
      ],
      [String.raw`Bearer realm="a, Basic b=\"c\"", scope="read"`, ['bearer realm=a, Basic b="c" scope=read']],
      [String.raw`Bearer realm="a\\", scope="\r\ead"`, [String.raw`bearer realm=a\ scope=read`]],
      ['Bearer realm="", scope="x"', ['bearer realm= scope=x']],
      ['Bearer realm="caf\xe9"', ['bearer realm=caf\xe9']],
    ])
  })

  it('takes a parameter only from its own challenge [challenge.anchored-params] [WA-05] [WA-06] [WA-07] [WA-08]', () => {
    table([
      [
        'Bearer error_description="need scope=admin now", xscope="no"',
        ['bearer error_description=need scope=admin now xscope=no'],
      ],
      ['Bearer error_description=need scope=admin, error="e"', ['bearer error_description=need error=e']],
      [
        'Bearer scope="read", Evil resource_metadata="https://evil.example"',
        ['bearer scope=read', 'evil resource_metadata=https://evil.example'],
      ],
      ['scope="admin", Bearer scope="read"', ['bearer scope=read']],
    ])
  })

  it('disregards case and blanks [challenge.case-and-space] [WA-10] [WA-11]', () => {
    table([
      ['BEARER Scope="Read",ERROR=x', ['bearer scope=Read error=x']],
      ['Bearer   scope = "read" ,  error\t=\t"e" \t', ['bearer scope=read error=e']],
      ['  Bearer\tscope="read"  ,Basic realm="x"', ['bearer scope=read', 'basic realm=x']],
      ['Bearer scope="read",error="e"', ['bearer scope=read error=e']],
    ])
  })

  it('steps over token68 data [challenge.token68] [WA-32]', () => {
    table([
      ['Negotiate oRQ==, Bearer scope="read"', ['negotiate:oRQ==', 'bearer scope=read']],
      ['NTLM TlRM/+._~-9, Bearer scope="read"', ['ntlm:TlRM/+._~-9', 'bearer scope=read']],
      ['Bearer abc==', ['bearer:abc==']],
      ['Bearer abc== , scope="admin", Basic realm="x"', ['bearer:abc==', 'basic realm=x']],
      ['Bearer abc=def', ['bearer abc=def']],
      ['Negotiate a=b=', ['negotiate a=b=']],
    ])
  })

  it('reads an unquoted value up to a comma or blank, URLs too [challenge.unquoted-value] [WA-34]', () => {
    table([
      [
        `Bearer resource_metadata=${location}?a=b&c=d, scope=read`,
        [`bearer resource_metadata=${location}?a=b&c=d scope=read`],
      ],
      [
        'Bearer error_description=The token expired, error=invalid_token',
        ['bearer error_description=The error=invalid_token'],
      ],
      ['Bearer error_description=see "a, Basic b" there, error=e', ['bearer error_description=see error=e']],
      ['Bearer error=e, scope=', ['bearer error=e scope=']],
    ])
  })

  it('drops a challenge with a syntax error and keeps the others [challenge.never-throws] [WA-13]', () => {
    table([
      ['Bearer scope="read, resource_metadata="https://rs.example', []],
      ['Basic realm="x", Bearer scope="read', ['basic realm=x']],
      [['Bearer scope="read', 'Basic realm="x"'], ['basic realm=x']],
      [String.raw`Bearer scope="read\"`, []],
      ['Bearer scope="read\\', []],
      ['Bearer scope="read" error="e", realm="y", Basic realm="x"', ['basic realm=x']],
      ['Bearer scope="read";x, Basic realm="x"', ['basic realm=x']],
      ['Bearer scope=re"ad", Basic realm="x"', ['basic realm=x']],
      ['Bearer: scope="read", error="e", Basic realm="x"', ['basic realm=x']],
      ['Bearer/abc==, Basic realm="x"', ['basic realm=x']],
      ['Bearer "read, write", Basic realm="x"', ['basic realm=x']],
      ['Bearer a b, Basic realm="x"', ['basic realm=x']],
      ['Bearer scope="read", "junk", Basic realm="x"', ['basic realm=x']],
      ['Bearer scope="read", error=x "open', []],
      ['"junk", @, Basic realm="x"', ['basic realm=x']],
    ])
  })

  it('keeps the values of repeated parameters in order [challenge.duplicates] [WA-12]', () => {
    table([
      ['Bearer scope="read", Scope=admin, error="e"', ['bearer scope=read|admin error=e']],
      ['Bearer __proto__="a", constructor=b', ['bearer __proto__=a constructor=b']],
    ])
  })

  it('skips empty list elements [WA-33]', () => {
    table([
      [', , Bearer scope="read", ,', ['bearer scope=read']],
      ['Bearer scope="read",,,error=e', ['bearer scope=read error=e']],
      [' , ', []],
    ])
  })

  it('finds nothing in what is no header [challenge.never-throws] [WA-36]', () => {
    table([undefined, null, false, 42, {}, [], '', Symbol('x'), () => 'Bearer'].map((value) => [value, []] as const))
  })

  /** The best of several runs in milliseconds, free of the pauses of a busy machine. */
  function cost(header: string, times: number): number {
    const runs = Array.from({ length: 7 }, () => {
      const start = performance.now()
      for (let i = 0; i < times; i++) parseChallenges(header)
      return performance.now() - start
    })
    return Math.min(...runs)
  }

  it('reads 15 KB within 5 ms and nothing above 16 KB [challenge.never-throws] [WA-15]', () => {
    const header = `Bearer ${'a=b, '.repeat(3050)}resource_metadata="${location}"`
    expect(parseChallenges(header)[0]?.params.get('resource_metadata')).toEqual([location])
    expect(cost(header, 1)).toBeLessThan(5)
    expect(parseChallenges(`Bearer realm="${'a'.repeat(16_384)}"`)).toEqual([])
  })

  it.each([
    ['a long token68', (n: number) => 'Bearer ' + 'a'.repeat(n)],
    ['open backslashes', (n: number) => 'Bearer x="' + '\\'.repeat(n)],
    ['empty elements', (n: number) => ', '.repeat(n / 2)],
    ['blanks before an equals sign', (n: number) => 'Bearer a=b' + ' '.repeat(n) + '='],
    ['many parameters', (n: number) => 'a=b, '.repeat(n / 5)],
    ['quotes', (n: number) => '"'.repeat(n)],
    ['failing token68', (n: number) => 'B a' + '='.repeat(n) + '"'],
    ['many schemes', (n: number) => 'a b,'.repeat(n / 4)],
  ])('costs time linear in %s [challenge.never-throws] [WA-17]', (_name, build) => {
    cost(build(16_000), 8)
    expect(cost(build(16_000), 8) / Math.max(cost(build(4_000), 8), 0.05)).toBeLessThan(10)
    expect(cost(build(262_144), 1)).toBeLessThan(50)
  })

  const hostile = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          'Bearer',
          'DPoP',
          'Basic',
          ' ',
          '\t',
          ',',
          '=',
          '"',
          '\\',
          'scope',
          'error',
          '==',
          'é',
          '\u0000',
        ),
        fc.string({ unit: 'binary', maxLength: 5 }),
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join(''))

  it('never throws whatever comes [challenge.never-throws]', () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.array(hostile), fc.anything()), (header) => {
        for (const { scheme, params } of parseChallenges(header)) {
          expect(scheme).toBe(scheme.toLowerCase())
          for (const [name, values] of params) expect([name.toLowerCase(), values.length > 0]).toEqual([name, true])
        }
        readChallenge(headersOf(header))
      }),
    )
  })

  it('does not let a broken line spoil a later one [challenge.never-throws] [challenge.several-headers]', () => {
    fc.assert(
      fc.property(hostile, (line) => {
        expect(brief(parseChallenges([line, 'Bearer scope="read"'])).at(-1)).toBe('bearer scope=read')
      }),
    )
  })

  it('reads back what it was written from [challenge.quoted-string] [challenge.several-headers]', () => {
    const tchar = fc.constantFrom(...'abcxyz019-._~!#$%&^`|*+')
    const token = fc.string({ unit: tchar, minLength: 1, maxLength: 8 })
    const value = fc.string({ unit: fc.constantFrom(...'ab ,="\\\t;é'), maxLength: 12 })
    const params = fc.array(fc.tuple(token, value), { minLength: 1, maxLength: 4 })
    const challenge = fc.record({ scheme: token, params })
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), fc.constantFrom(',', ', ', ' ,\t'), (challenges, comma) => {
        const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
        const lines = challenges.map(
          (c) => `${c.scheme} ${c.params.map(([name, text]) => `${name}=${quoted(text)}`).join(comma)}`,
        )
        const expected = challenges.map((c) => ({
          scheme: c.scheme,
          params: new Map(c.params.map(([name]) => [name, c.params.filter(([n]) => n === name).map(([, v]) => v)])),
        }))
        expect(parseChallenges(lines)).toEqual(expected)
        expect(parseChallenges(lines.join(comma))).toEqual(expected)
      }),
    )
  })
})

describe('readChallenge', () => {
  const bare = { scheme: 'Bearer', resourceMetadata: [], dpopErrors: false }

  it('reads the parameters of a Bearer challenge [challenge.scheme-order] [WA-01]', () => {
    const header = `Basic realm="x", Bearer error="insufficient_scope", error_description="a, b", scope="read", resource_metadata="${location}"`
    expect(readChallenge(headersOf(header))).toEqual({
      scheme: 'Bearer',
      error: 'insufficient_scope',
      errorDescription: 'a, b',
      scope: 'read',
      resourceMetadata: [location],
      dpopErrors: false,
    })
  })

  it('finds nothing without a Bearer or DPoP challenge [challenge.missing-ok] [WA-07] [WA-36]', () => {
    for (const header of [undefined, '', 'Basic realm="x"', `Evil resource_metadata="${location}"`, 'Bearer scope="']) {
      expect(readChallenge(headersOf(header))).toBeUndefined()
    }
  })

  it('reads a challenge without parameters [challenge.missing-ok] [challenge.token68] [WA-32]', () => {
    for (const header of ['Bearer', 'Bearer abc==', 'Negotiate, bearer realm="x"']) {
      expect(readChallenge(headersOf(header))).toEqual(bare)
    }
  })

  it.each(['scope="read", scope="admin"', 'error="a", error="a"', 'scope=""', 'scope="  "', 'error=""'])(
    'counts %s as absent [challenge.duplicates] [WA-12] [WA-35]',
    (params) => {
      expect(readChallenge(headersOf(`Bearer ${params}`))).toEqual(bare)
    },
  )

  it('keeps every resource_metadata in order [challenge.duplicates]', () => {
    const header =
      'Bearer resource_metadata="/a", resource_metadata="", resource_metadata=/b, Bearer resource_metadata="/c"'
    expect(readChallenge(headersOf(header))?.resourceMetadata).toEqual(['/a', '/b', '/c'])
  })

  it('prefers the scheme that was used and takes what it lacks from the other [challenge.own-scheme-first]', () => {
    const header = 'Bearer scope="b", resource_metadata="/b", DPoP scope="d", error="invalid_token", algs="ES256"'
    const common = { error: 'invalid_token', algs: 'ES256', resourceMetadata: ['/b'], dpopErrors: false }
    expect(readChallenge(headersOf(header), 'DPoP')).toEqual({ ...common, scheme: 'DPoP', scope: 'd' })
    expect(readChallenge(headersOf(header), 'Bearer')).toEqual({ ...common, scheme: 'Bearer', scope: 'b' })
    expect(readChallenge(headersOf(header))).toEqual({ ...common, scheme: 'Bearer', scope: 'b' })
    expect(readChallenge(headersOf('Bearer scope="b"'), 'DPoP')).toEqual({ ...bare, scope: 'b' })
    expect(readChallenge(headersOf('DPoP scope="a", Bearer scope="b", scope="c"'), 'Bearer')?.scope).toBe('a')
  })

  it('leaves the locations of the other scheme alone when its own has some [challenge.own-scheme-first]', () => {
    const header = 'DPoP resource_metadata="/d", Bearer resource_metadata="/b"'
    expect(readChallenge(headersOf(header), 'Bearer')?.resourceMetadata).toEqual(['/b'])
  })

  it('notices that a DPoP challenge asks for a nonce, whichever scheme was used [challenge.own-scheme-first]', () => {
    const header = 'Bearer error="invalid_token", DPoP error="use_dpop_nonce"'
    expect(readChallenge(headersOf(header), 'Bearer')).toMatchObject({ error: 'invalid_token', dpopErrors: true })
    expect(readChallenge(headersOf('Bearer error="use_dpop_nonce"'))?.dpopErrors).toBe(false)
  })

  it('reads the remapped header only when the standard one is missing [challenge.remapped-header]', () => {
    const lookup = (entries: Record<string, unknown>): HeaderLookup => {
      const headers = new Map(Object.entries(entries))
      return (name) => headers.get(name.toLowerCase())
    }
    const remapped = { 'x-amzn-remapped-www-authenticate': 'Bearer scope="amazon"' }
    for (const missing of [undefined, null, '', []]) {
      expect(readChallenge(lookup({ ...remapped, 'www-authenticate': missing }))?.scope).toBe('amazon')
    }
    expect(readChallenge(lookup({ ...remapped, 'www-authenticate': 'Bearer scope="own"' }))?.scope).toBe('own')
    expect(readChallenge(lookup({ ...remapped, 'www-authenticate': 'Basic realm="x"' }))).toBeUndefined()
  })
})

describe('resolveResourceMetadata', () => {
  const response = 'https://api.example.com/mcp?x=1'

  it.each([
    [location, location],
    ['HTTPS://Other.example/PRM', 'HTTPS://Other.example/PRM'],
    ['http://api.example.com/prm', 'http://api.example.com/prm'],
    ['http://x@127.0.0.1@host/', 'http://x@127.0.0.1@host/'],
    ['/.well-known/prm?a=b', 'https://api.example.com/.well-known/prm?a=b'],
    ['/a/../b', 'https://api.example.com/b'],
    ['/', 'https://api.example.com/'],
  ])('makes a URL of %j [challenge.relative-url] [WA-24]', (value, expected) => {
    expect(resolveResourceMetadata(value, response)).toBe(expected)
  })

  it.each([
    'javascript:alert(1)',
    'blob:https://x/1',
    'file:///etc/passwd',
    'data:application/json,{}',
    'unix:/var/run/docker.sock',
    'ftp://x/',
    '//evil.example/prm',
    'https:evil.example',
    'https:/evil.example',
    'https:///evil.example',
    'https:\\\\evil.example\\prm',
    '\\\\evil.example\\prm',
    '/\\evil.example/prm',
    '/\t/evil.example/prm',
    '/\n/evil.example',
    ' https://evil.example',
    'prm',
    './prm',
    '?prm',
    '',
  ])('ignores %j [challenge.relative-url] [WA-21] [WA-22] [WA-25]', (value) => {
    expect(resolveResourceMetadata(value, response)).toBeUndefined()
  })

  it('ignores a path when the response has no web origin [challenge.relative-url]', () => {
    for (const url of ['', 'mcp', 'data:,x', 'file:///x']) expect(resolveResourceMetadata('/prm', url)).toBeUndefined()
  })

  it('does not take userinfo of the response URL over [challenge.relative-url]', () => {
    expect(resolveResourceMetadata('/prm', 'https://u:p@api.example.com/mcp')).toBe('https://api.example.com/prm')
  })

  it('answers a literal web URL, one of the same origin, or nothing [challenge.relative-url] [WA-25]', () => {
    const piece = fc.constantFrom('/', '\\', ':', 'https', 'http', '@', '.', '\t', '\n', ' ', '#', '?', 'evil.example')
    const value = fc.oneof(
      fc.string(),
      fc.array(piece).map((parts) => parts.join('')),
      fc.array(piece).map((p) => `/${p.join('')}`),
    )
    fc.assert(
      fc.property(value, (text) => {
        const url = resolveResourceMetadata(text, response)
        if (url === undefined) return
        if (url === text) expect(url).toMatch(/^https?:\/\/[^/]/i)
        else expect(new URL(url).origin).toBe('https://api.example.com')
      }),
    )
  })
})

import fc from 'fast-check'
import { canonicalResource, contains, coversServerUrl } from '../../lib/protocol/resource'

const server = 'https://api.example.com/mcp'
const covers = (resource: string, serverUrl = server): boolean => coversServerUrl(resource, serverUrl, 'parent')

describe('coversServerUrl', () => {
  it.each([
    ['https://api.example.com/mcp', server],
    ['HTTPS://API.example.com/mcp', server],
    ['https://api.example.com:443/mcp', server],
    ['https://api.example.com:/mcp', server],
    ['https://api.example.com/mcp/', server],
    ['https://api.example.com/mcp', `${server}/`],
    ['https://api.example.com', 'https://API.example.com:443/'],
    ['http://localhost:80/mcp', 'http://localhost/mcp'],
    ['https://[::1]:443', 'https://[::1]'],
    ['https://api.example.com/mcp', `${server}#fragment`],
    ['https://api.example.com/%6d%2Fcp', 'https://api.example.com/%6d%2Fcp'],
  ])('takes %s for the server %s [prm.resource-match] [PR-05] [PR-13]', (resource, serverUrl) => {
    expect(covers(resource, serverUrl)).toBe(true)
  })

  it.each([
    ['https://api.example.com', server],
    ['https://api.example.com/', server],
    ['https://api.example.com/api', 'https://api.example.com/api/mcp'],
    ['https://api.example.com/api/', 'https://api.example.com/api/mcp/'],
    ['https://api.example.com', `${server}?tenant=1`],
    ['https://api.example.com/api', 'https://api.example.com/api/v1/mcp?tenant=1'],
  ])('takes the parent %s for %s [prm.resource-parent] [PR-06]', (resource, serverUrl) => {
    expect(covers(resource, serverUrl)).toBe(true)
  })

  it.each([
    ['https://honest.example/mcp', server],
    ['https://api.example.com.evil.com/mcp', server],
    ['http://api.example.com/mcp', server],
    ['https://api.example.com:444/mcp', server],
    ['https://api.example.com:80/mcp', server],
    ['https://api.example.com/mc', server],
    ['https://api.example.com/v1', 'https://api.example.com/v1evil'],
    ['https://api.example.com/mcp/admin', server],
    ['https://api.example.com/other', server],
    ['https://api.example.com@api.example.com/mcp', server],
    ['https://u:p@api.example.com/mcp', server],
    ['https://@api.example.com/mcp', server],
    ['https://api.example.com/MCP', server],
    ['https://api.example.com/%6dcp', server],
    ['https://api.example.com//mcp', server],
    ['https://api.example.com/mcp//', server],
    ['https://\u0430pi.example.com/mcp', server],
    ['https://api.example.com./mcp', server],
    ['https://api%2eexample.com/mcp', server],
    ['https://\u212aey.example/mcp', 'https://key.example/mcp'],
    ['https://xn--bcher-kva.example', 'https://bücher.example'],
    ['https:api.example.com/mcp', server],
    ['https:///api.example.com/mcp', server],
    ['https:\\\\api.example.com\\mcp', server],
    ['https://api.example.com/mcp\n', server],
    ['https://api.exa\tmple.com/mcp', server],
    [' https://api.example.com/mcp', server],
    ['', server],
    ['mcp', server],
    ['ftp://api.example.com/mcp', 'ftp://api.example.com/mcp'],
    [server, ''],
  ])(
    'does not take %s for %s [prm.resource-mismatch] [prm.resource-parent] [PR-01] [PR-02] [PR-03] [PR-04] [PR-07] [PR-10] [PR-13]',
    (resource, serverUrl) => {
      expect(covers(resource, serverUrl)).toBe(false)
    },
  )

  it.each([
    ['https://api.example.com/x/../mcp', server],
    ['https://api.example.com/./mcp', server],
    ['https://api.example.com/mcp/.', server],
    ['https://api.example.com/x/%2E%2e/mcp', server],
    ['https://api.example.com/x/.%2e/mcp', 'https://api.example.com/x/.%2e/mcp'],
    ['https://api.example.com/mcp', 'https://api.example.com/mcp/../admin'],
  ])('resolves no dot segments in %s for %s [prm.resource-mismatch] [PR-09]', (resource, serverUrl) => {
    expect(covers(resource, serverUrl)).toBe(false)
  })

  it.each([
    [`${server}?tenant=1`, `${server}?tenant=1`, true],
    [`${server}/?tenant=1`, `${server}?tenant=1`, true],
    [`${server}?tenant=1`, server, false],
    [server, `${server}?tenant=1`, false],
    [`${server}?tenant=1`, `${server}?tenant=2`, false],
    [`${server}?Tenant=1`, `${server}?tenant=1`, false],
    [`${server}?`, server, false],
    ['https://api.example.com?tenant=1', `${server}?tenant=1`, false],
    [`${server}#x`, server, false],
    [`${server}#`, server, false],
    [`${server}#x`, `${server}#x`, false],
  ])('compares the queries of %s and %s: %s [prm.resource-query] [PR-08] [PR-14]', (resource, serverUrl, expected) => {
    expect(covers(resource, serverUrl)).toBe(expected)
  })

  it.each([
    [server, server, true],
    [server, `${server}#x`, true],
    ['https://api.example.com/mcp/', server, false],
    ['https://api.example.com', server, false],
    ['https://API.example.com/mcp', server, false],
    ['https://u@api.example.com/mcp', 'https://u@api.example.com/mcp', false],
    ['x', 'x', false],
  ])(
    'asks for identity of %s and %s under exact: %s [prm.resource-parent] [PR-05] [PR-06]',
    (resource, serverUrl, expected) => {
      expect(coversServerUrl(resource, serverUrl, 'exact')).toBe(expected)
    },
  )

  it('is a partial order up to spelling, and never throws [prm.resource-parent]', () => {
    const url = fc
      .tuple(
        fc.constantFrom('https://h.example', 'HTTPS://H.example:443', 'https://h.example.evil', 'https://u@h.example'),
        fc.array(fc.constantFrom('/', '/a', '/b', '/ab', '/..', '/%61')).map((segments) => segments.join('')),
        fc.constantFrom('', '', '', '?q'),
      )
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(url, url, url, (a, b, c) => {
        if (covers(a, b) && covers(b, c)) expect([a, b, c, covers(a, c)]).toEqual([a, b, c, true])
        if (covers(a, b)) expect([covers(a, a), covers(b, b)]).toEqual([true, true])
        const plain = (text: string): string =>
          text
            .toLowerCase()
            .replace(':443', '')
            .replace(/\/(?=\?|$)/, '')
        if (covers(a, b) && covers(b, a)) expect(plain(a)).toBe(plain(b))
        if (coversServerUrl(a, b, 'exact')) expect(covers(a, b)).toBe(true)
      }),
      { numRuns: 2000 },
    )
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => typeof covers(a, b) === 'boolean'))
  })

  it('covers nothing that the URL parser would not contain [prm.resource-parent]', () => {
    const tail = fc
      .array(fc.constantFrom('/', 'a', '.', '..', '%2e', '\\', '@', ':', '?', '\t', 'h.example'))
      .map((p) => p.join(''))
    fc.assert(
      fc.property(tail, tail, (a, b) => {
        const [resource, serverUrl] = [`https://h.example${a}`, `https://h.example${b}`]
        if (covers(resource, serverUrl)) expect(contains(resource, serverUrl)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('canonicalResource', () => {
  it.each([
    ['https://Host.Example', 'https://host.example'],
    ['HTTPS://Host.Example/', 'https://host.example/'],
    ['https://host.example:443/MCP/?A=B#frag', 'https://host.example:443/MCP/?A=B'],
    ['https://host.example/a/../%6D', 'https://host.example/a/../%6D'],
    ['https://Host.example?Q', 'https://host.example?Q'],
    ['https://Host.example#F', 'https://host.example'],
    ['https://\u212aey.example/', 'https://\u212aey.example/'],
    ['no URL', 'no URL'],
  ])('writes %s as %s [resource.without-prm] [resource.verbatim]', (url, expected) => {
    expect(canonicalResource(url)).toBe(expected)
  })

  it('is idempotent and names the same server [resource.without-prm]', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        const resource = canonicalResource(url)
        expect(canonicalResource(resource)).toBe(resource)
        expect(resource).not.toContain('#')
        expect(new URL(resource).href).toBe(new URL(url).href.replace(/#.*$/, ''))
      }),
    )
  })
})

describe('contains', () => {
  it.each([
    ['https://api.example.com/v1', 'https://api.example.com/v1'],
    ['https://api.example.com/v1', 'https://api.example.com/v1/'],
    ['https://api.example.com/v1/', 'https://api.example.com/v1'],
    ['https://api.example.com/v1', 'https://api.example.com/v1/x/y?z=1#f'],
    ['https://api.example.com/v1?tenant=1', 'https://api.example.com/v1/x?tenant=2'],
    ['https://api.example.com/', 'https://api.example.com/x'],
    ['https://api.example.com', 'https://api.example.com/'],
    ['https://api.example.com/', 'HTTPS://API.example.com:443/x'],
    ['https://api.example.com/v1', 'https://api.example.com/x/../v1/y'],
    ['https://api.example.com/v1', 'https://api.example.com/v1/a%2Fb'],
  ])('%s holds %s [attach.only-resource]', (resource, url) => {
    expect(contains(resource, url)).toBe(true)
  })

  it.each([
    'https://api.example.com@evil.example/v1',
    'https://api.example.com.evil.com/v1',
    'https://api.example.com:444/v1',
    'http://api.example.com/v1',
    'https://u:p@api.example.com/v1',
    'https://u@api.example.com/v1',
    'https://:p@api.example.com/v1',
    'https://api.example.com/v1evil',
    'https://api.example.com/v',
    'https://api.example.com/',
    'https://api.example.com/V1',
    'https://api.example.com/%761',
    'https://api.example.com/v1/../x',
    'https://api.example.com/v1/%2e%2e/x',
    'https://api.example.com/v1/..\\x',
    'https://api.example.com//v1',
    '//api.example.com/v1',
    '/v1',
    '',
    'wss://api.example.com/v1',
    'file:///v1',
    'javascript:alert(1)',
  ])(
    'https://api.example.com/v1 does not hold %j [attach.only-resource] [RQ-05] [RQ-06] [RQ-07] [RQ-08] [RQ-11]',
    (url) => {
      expect(contains('https://api.example.com/v1', url)).toBe(false)
    },
  )

  it('holds only for web URLs [attach.only-resource]', () => {
    for (const url of ['file:///v1', 'data:,x', 'wss://api.example.com/v1', 'v1'])
      expect(contains(url, url)).toBe(false)
  })

  it('is a partial order on serialised URLs, and never throws [attach.only-resource]', () => {
    const url = fc
      .tuple(
        fc.constantFrom('https://h.example', 'https://h.example:444', 'http://h.example'),
        fc.array(fc.constantFrom('/', '/a', '/b', '/ab', '/..')).map((segments) => segments.join('')),
      )
      .map(([origin, path]) => new URL(origin + path).href)
    fc.assert(
      fc.property(url, url, url, (a, b, c) => {
        expect(contains(a, a)).toBe(true)
        if (contains(a, b) && contains(b, c)) expect([a, b, c, contains(a, c)]).toEqual([a, b, c, true])
        if (contains(a, b) && contains(b, a)) expect(a.replace(/\/$/, '')).toBe(b.replace(/\/$/, ''))
      }),
      { numRuns: 2000 },
    )
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => typeof contains(a, b) === 'boolean'))
  })

  it('lets no path text that is appended to the resource leave its origin [attach.only-resource] [RQ-07] [RQ-08]', () => {
    const piece = fc.constantFrom('/', '\\', '.', '..', '%2e', '@', ':', 'evil.example', '\t', '?', '#', 'a')
    fc.assert(
      fc.property(
        fc.array(piece).map((parts) => parts.join('')),
        (text) => {
          const url = `https://api.example.com/v1${text}`
          if (contains('https://api.example.com/v1', url)) {
            expect(new URL(url).href).toMatch(/^https:\/\/api\.example\.com\/v1(?:[/?#]|$)/)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

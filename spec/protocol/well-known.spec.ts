import fc from 'fast-check'
import {
  authorizationServerMetadataUrls,
  legacyEndpoints,
  legacyMetadataUrls,
  protectedResourceMetadataUrls,
} from '../../lib/protocol/well-known'

const prm = '/.well-known/oauth-protected-resource'
const oauth = '/.well-known/oauth-authorization-server'
const openid = '/.well-known/openid-configuration'

describe('protectedResourceMetadataUrls', () => {
  it.each([
    ['https://h.example/mcp', [`${prm}/mcp`, prm]],
    ['https://h.example/a/b', [`${prm}/a/b`, prm]],
    ['https://h.example', [prm]],
    ['https://h.example/', [prm]],
  ])('asks beside the path of %s and then at the root [prm.path-then-root]', (url, expected) => {
    expect(protectedResourceMetadataUrls(url)).toEqual(expected.map((path) => `https://h.example${path}`))
  })

  it.each([
    ['https://h.example/mcp?t=1#x', [`${prm}/mcp?t=1`, prm]],
    ['https://h.example/mcp/?t=//1', [`${prm}/mcp/?t=//1`, `${prm}/mcp?t=//1`, prm]],
    ['https://h.example?t=1', [`${prm}?t=1`]],
    ['https://h.example/#x', [prm]],
  ])('keeps the query of %s and removes the fragment [prm.query-kept] [PR-14]', (url, expected) => {
    expect(protectedResourceMetadataUrls(url)).toEqual(expected.map((path) => `https://h.example${path}`))
  })

  it.each([
    ['https://h.example/mcp/', [`${prm}/mcp/`, `${prm}/mcp`, prm]],
    ['https://h.example//mcp//x//', [`${prm}/mcp/x/`, `${prm}/mcp/x`, prm]],
    ['https://h.example//', [prm]],
  ])('asks with the slash of %s first, never with two [prm.trailing-slash]', (url, expected) => {
    expect(protectedResourceMetadataUrls(url)).toEqual(expected.map((path) => `https://h.example${path}`))
  })

  it('keeps port, drops userinfo and finds nothing for what is no web URL [prm.path-then-root]', () => {
    expect(protectedResourceMetadataUrls('http://u:p@LOCALHOST:3000/mcp')).toEqual([
      `http://localhost:3000${prm}/mcp`,
      `http://localhost:3000${prm}`,
    ])
    for (const url of ['', 'mcp', 'file:///mcp', 'data:,x']) expect(protectedResourceMetadataUrls(url)).toEqual([])
  })

  it('stays on the origin, repeats nothing and never doubles a slash [prm.trailing-slash]', () => {
    const segment = fc.constantFrom('', 'a', 'mcp', '%2F', '..', '.')
    const path = fc.array(segment).map((segments) => segments.join('/'))
    fc.assert(
      fc.property(path, fc.constantFrom('', '?q=1', '#f'), (text, end) => {
        const urls = protectedResourceMetadataUrls(`https://h.example/${text}${end}`)
        expect(new Set(urls).size).toBe(urls.length)
        for (const url of urls) {
          const { origin, pathname, hash } = new URL(url)
          expect([origin, pathname.startsWith(prm), pathname.includes('//'), hash]).toEqual([
            'https://h.example',
            true,
            false,
            '',
          ])
        }
      }),
    )
  })
})

describe('authorizationServerMetadataUrls', () => {
  it.each(['https://as.example', 'https://as.example/', 'https://AS.example:443//'])(
    'asks for the OAuth and then the OpenID document of %s [as-metadata.root-order] [as-metadata.issuer-slash] [AS-30]',
    (issuer) => {
      expect(authorizationServerMetadataUrls(issuer)).toEqual([
        `https://as.example${oauth}`,
        `https://as.example${openid}`,
      ])
    },
  )

  it.each(['https://as.example/t/1', 'https://as.example/t/1/'])(
    'inserts the path of %s and then puts it in front [as-metadata.path-order] [as-metadata.issuer-slash]',
    (issuer) => {
      expect(authorizationServerMetadataUrls(issuer)).toEqual([
        `https://as.example${oauth}/t/1`,
        `https://as.example${openid}/t/1`,
        `https://as.example/t/1${openid}`,
      ])
    },
  )

  it('never throws, stays on the origin and takes issuers with and without last slash alike [as-metadata.issuer-slash]', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.string()), (issuer) => {
        const urls = authorizationServerMetadataUrls(issuer)
        for (const url of urls) expect(new URL(url).origin).toBe(new URL(issuer).origin)
        if (URL.canParse(issuer) && !/[/?#]/.test(issuer.slice(-1))) {
          expect(authorizationServerMetadataUrls(`${issuer}/`)).toEqual(urls)
        }
      }),
    )
  })
})

describe('legacyMetadataUrls, legacyEndpoints', () => {
  it('look at the root of the origin only [legacy.root-metadata]', () => {
    expect(legacyMetadataUrls('https://h.example:8443/a/mcp?x=1')).toEqual([
      `https://h.example:8443${oauth}`,
      `https://h.example:8443${openid}`,
    ])
    expect(legacyMetadataUrls('mcp')).toEqual([])
  })

  it('use the default endpoints at the origin [legacy.default-endpoints]', () => {
    expect(legacyEndpoints('https://h.example:8443/a/mcp?x=1#f')).toEqual({
      issuer: 'https://h.example:8443',
      authorization_endpoint: 'https://h.example:8443/authorize',
      token_endpoint: 'https://h.example:8443/token',
      registration_endpoint: 'https://h.example:8443/register',
    })
  })
})

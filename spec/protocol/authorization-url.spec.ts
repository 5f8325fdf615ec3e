import fc from 'fast-check'
import {
  authorizationParameters,
  buildAuthorizationUrl,
  buildPushedAuthorizationUrl,
} from '../../lib/protocol/authorization'

const endpoint = 'https://as.example/authorize'
const request = {
  clientId: 'client',
  redirectUri: 'http://127.0.0.1:4000/callback',
  state: 'state',
  codeChallenge: 'challenge',
  extra: {},
}
const required = {
  response_type: 'code',
  client_id: 'client',
  redirect_uri: request.redirectUri,
  state: 'state',
  code_challenge: 'challenge',
  code_challenge_method: 'S256',
}
const parametersOf = (url: string): [string, string][] => [...new URL(url).searchParams]

describe('authorizationParameters({ clientId, redirectUri, state, codeChallenge, scope, resource, extra, dpopJkt })', () => {
  it.each<[string, object, object]>([
    ['nothing else', {}, {}],
    ['a selected scope', { scope: 'read write' }, { scope: 'read write' }],
    ['no empty scope', { scope: '' }, {}],
    ['the resource byte for byte', { resource: 'https://API.example' }, { resource: 'https://API.example' }],
    ['the thumbprint of a DPoP key', { dpopJkt: 'jkt' }, { dpop_jkt: 'jkt' }],
    [
      'the parameters of the user',
      { extra: { audience: 'api', login_hint: 'a@b' } },
      { audience: 'api', login_hint: 'a@b' },
    ],
    [
      'prompt=consent for offline_access',
      { scope: 'a offline_access' },
      { scope: 'a offline_access', prompt: 'consent' },
    ],
    ['no prompt for what only looks like it', { scope: 'offline_access_x' }, { scope: 'offline_access_x' }],
    [
      'the prompt of the user',
      { scope: 'offline_access', extra: { prompt: 'login' } },
      { scope: 'offline_access', prompt: 'login' },
    ],
  ])(
    'has the required parameters and %s [authz-url.params] [authz-url.extra-params] [authz-url.prompt-consent] [resource.verbatim]',
    (_, members, expected) => {
      expect(authorizationParameters({ ...request, ...members })).toEqual({ ...required, ...expected })
    },
  )

  it('lets no parameter of the user replace one of the protocol [authz-url.extra-params]', () => {
    const extra = { state: 'mine', code_challenge_method: 'plain', audience: 'api' }
    expect(authorizationParameters({ ...request, extra })).toEqual({ ...required, audience: 'api' })
  })
})

describe('buildAuthorizationUrl({ endpoint, … })', () => {
  it.each<[string, string, string]>([
    ['no query', endpoint, '?'],
    ['an empty query', `${endpoint}?`, '?'],
    ['a query', `${endpoint}?tenant=1`, '?tenant=1&'],
    ['a query in an unusual spelling', `${endpoint}?tenant&a=b%20c&&x=%2F`, '?tenant&a=b%20c&x=%2F&'],
    ['parameters of ours', `${endpoint}?state=evil&tenant=1&client_id=a&client_id=b&redirect%5Furi=x`, '?tenant=1&'],
    ['a scope, resource or request object that nobody chose', `${endpoint}?scope=admin&request_uri=u&resource=r`, '?'],
    ['a fragment', `${endpoint}?tenant=1#`, '?tenant=1&'],
    ['a fragment with text', `${endpoint}#state=x`, '?'],
  ])(
    'keeps the query of an endpoint with %s [authz-url.keeps-query] [authz-url.params] [AS-16] [AS-17]',
    (_, at, start) => {
      const url = buildAuthorizationUrl({ ...request, endpoint: at })
      expect(url.startsWith(`${endpoint}${start}`)).toBe(true)
      expect(url).not.toContain('#')
      for (const [name, value] of Object.entries(required))
        expect(new URL(url).searchParams.getAll(name)).toEqual([value])
    },
  )

  it('replaces a parameter of the user that the endpoint has too [authz-url.keeps-query]', () => {
    const url = buildAuthorizationUrl({
      ...request,
      endpoint: `${endpoint}?prompt=none&ui=1`,
      extra: { prompt: 'login' },
    })
    expect(new URL(url).searchParams.getAll('prompt')).toEqual(['login'])
    expect(new URL(url).searchParams.get('ui')).toBe('1')
  })

  it('carries each parameter once with its value, whatever the text [authz-url.params] [AS-14] [AS-17]', () => {
    const text = fc.string({ minLength: 1, unit: 'grapheme' })
    const query = fc.array(fc.tuple(fc.constantFrom(...Object.keys(required), 'tenant'), text))
    fc.assert(
      fc.property(text, text, query, (state, scope, existing) => {
        const at = `${endpoint}?${new URLSearchParams(existing).toString()}`
        const { searchParams } = new URL(buildAuthorizationUrl({ ...request, endpoint: at, state, scope }))
        expect(searchParams.getAll('state')).toEqual([state])
        expect(searchParams.getAll('scope')).toEqual([scope])
        expect(searchParams.getAll('client_id')).toEqual(['client'])
        expect(searchParams.getAll('tenant')).toEqual(
          existing.filter(([name]) => name === 'tenant').map(([, value]) => value),
        )
      }),
    )
  })
})

describe('buildPushedAuthorizationUrl(endpoint, clientId, requestUri)', () => {
  it('carries the client and the reference and nothing else of ours [authz-url.par-required]', () => {
    const url = buildPushedAuthorizationUrl(
      `${endpoint}?tenant=1&scope=x`,
      'client',
      'urn:ietf:params:oauth:request_uri:a',
    )
    expect(parametersOf(url)).toEqual([
      ['tenant', '1'],
      ['client_id', 'client'],
      ['request_uri', 'urn:ietf:params:oauth:request_uri:a'],
    ])
  })
})

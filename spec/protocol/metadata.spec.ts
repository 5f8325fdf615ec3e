import fc from 'fast-check'
import * as oauth from 'oauth4webapi'
import { OAuthDiscoveryError } from '../../lib/errors'
import { parseJsonObject, type JsonObject } from '../../lib/protocol/json'
import {
  checkCodeSupport,
  checkPkceSupport,
  parseAuthorizationServerMetadata,
  parseProtectedResourceMetadata,
} from '../../lib/protocol/metadata'
import { thrownBy } from './thrown-by'

const issuer = 'https://as.example'
const location = `${issuer}/.well-known/oauth-authorization-server?secret=1`
const server = { issuer, token_endpoint: `${issuer}/token`, authorization_endpoint: `${issuer}/authorize` }
const resource = { resource: 'https://api.example.com/mcp', authorization_servers: [issuer] }
const read = (value: unknown): JsonObject => parseJsonObject(JSON.stringify(value)) ?? {}

describe('parseProtectedResourceMetadata(document, location)', () => {
  const parse = (members: object): unknown =>
    parseProtectedResourceMetadata(read({ ...resource, ...members }), location)

  it.each<[string, object, string]>([
    ['a number as resource', { resource: 42 }, 'resource'],
    ['null as resource', { resource: null }, 'resource'],
    ['a list as resource', { resource: ['https://api.example.com/mcp'] }, 'resource'],
    ['an object as resource', { resource: {} }, 'resource'],
    ['an empty resource', { resource: '' }, 'resource'],
    ['no resource', { resource: undefined }, 'resource'],
    ['no authorization server', { authorization_servers: undefined }, 'authorization_servers'],
    ['an empty list of authorization servers', { authorization_servers: [] }, 'authorization_servers'],
    ['a text as list of authorization servers', { authorization_servers: issuer }, 'authorization_servers'],
    [
      'no text among the authorization servers',
      { authorization_servers: [null, 5, { x: 1 }, ''] },
      'authorization_servers',
    ],
  ])(
    'refuses %s and names the member [prm.invalid-object] [prm.no-authorization-servers] [PR-11] [PR-12] [PR-15] [PR-16] [PR-17]',
    (_, members, name) => {
      const error = thrownBy(() => parse(members))
      expect(error).toBeInstanceOf(OAuthDiscoveryError)
      expect(error).toMatchObject({ code: 'OAUTH_METADATA_INVALID', phase: 'discovery' })
      expect(error.message).toContain(`\`${name}\``)
      expect(error.message).not.toContain('secret')
    },
  )

  it('finds nothing in the prototype of a document [PR-40]', () => {
    const hostile = parseJsonObject(`{"resource":"r","__proto__":{"authorization_servers":["https://evil.example"]}}`)
    expect(() => parseProtectedResourceMetadata(hostile ?? {}, location)).toThrow('authorization_servers')
  })

  it.each<[string, object, object]>([
    ['a list that is no list', { scopes_supported: { 0: 'read', length: 1 } }, {}],
    ['entries that are no text', { scopes_supported: ['read', 7, null, ''] }, { scopes_supported: ['read'] }],
    ['a flag that is no flag', { dpop_bound_access_tokens_required: 'true' }, {}],
    ['a name that is no text', { resource_name: [] }, {}],
    ['unknown members', { signed_metadata: 'a.b.c', x: { y: null } }, { signed_metadata: 'a.b.c', x: { y: null } }],
    ['null', { scopes_supported: null, x: null }, {}],
  ])('reads %s [as-metadata.null-members] [as-metadata.unknown-kept] [PR-25] [PR-49]', (_, members, expected) => {
    expect(parse(members)).toEqual({ ...resource, ...expected })
  })
})

describe('parseAuthorizationServerMetadata(document, location)', () => {
  const parse = (members: object): unknown =>
    parseAuthorizationServerMetadata(read({ ...server, ...members }), location)

  it.each<[string, object, string]>([
    ['a list as issuer', { issuer: [issuer] }, 'issuer'],
    ['no issuer', { issuer: undefined }, 'issuer'],
    ['no token endpoint', { token_endpoint: undefined }, 'token_endpoint'],
    ['a null token endpoint', { token_endpoint: null }, 'token_endpoint'],
  ])('refuses %s [as-metadata.required-members] [AS-04] [AS-05]', (_, members, name) => {
    const error = thrownBy(() => parse(members))
    expect(error).toMatchObject({ code: 'OAUTH_METADATA_INVALID', endpoint: location.split('?')[0] })
    expect(error.message).toContain(`\`${name}\``)
  })

  it('refuses a document that is nested too deeply to be stored [PR-43]', () => {
    const text = `{"issuer":"${issuer}","token_endpoint":"${issuer}/token","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const error = thrownBy(() => parseAuthorizationServerMetadata(parseJsonObject(text) ?? {}, location))
    expect(error.code).toBe('OAUTH_METADATA_INVALID')
  })

  it.each<[string, object, object]>([
    ['nothing but what is required', { authorization_endpoint: undefined }, { authorization_endpoint: undefined }],
    ['a string for a true', { authorization_response_iss_parameter_supported: 'true' }, {}],
    ['a string for a true again', { client_id_metadata_document_supported: 'true' }, {}],
    ['a string for a list', { code_challenge_methods_supported: 'S256' }, {}],
    ['an empty endpoint', { registration_endpoint: '' }, {}],
    [
      'unknown methods',
      { token_endpoint_auth_methods_supported: ['x'] },
      { token_endpoint_auth_methods_supported: ['x'] },
    ],
    [
      'aliases',
      { mtls_endpoint_aliases: { token_endpoint: 'https://m', x: 1 } },
      { mtls_endpoint_aliases: { token_endpoint: 'https://m' } },
    ],
    ['unknown members', { check_session_iframe: 7 }, { check_session_iframe: 7 }],
    ['null members', { jwks_uri: null, scopes_supported: null }, {}],
    [
      'iss support in an OpenID document',
      { authorization_response_iss_parameter_supported: true },
      { authorization_response_iss_parameter_supported: true },
    ],
  ])(
    'reads %s [as-metadata.null-members] [as-metadata.oidc-lenient] [as-metadata.unknown-kept] [AS-27] [AS-37]',
    (_, members, expected) => {
      expect(parse(members)).toEqual({ ...server, ...expected })
    },
  )

  it('drops wrong optional members of every type and never a right one [as-metadata.null-members]', () => {
    const wrong = fc.oneof(fc.integer(), fc.constant(null), fc.constant({}), fc.boolean())
    fc.assert(
      fc.property(wrong, fc.array(fc.string({ minLength: 1 })), (value, scopes) => {
        const parsed = parse({ grant_types_supported: value, registration_endpoint: value, scopes_supported: scopes })
        expect(parsed).toEqual({ ...server, scopes_supported: scopes })
      }),
    )
  })

  it('accepts the documents that oauth4webapi accepts [as-metadata.root-order]', async () => {
    const response = Response.json({ ...server, code_challenge_methods_supported: ['S256'] })
    const oracle = await oauth.processDiscoveryResponse(new URL(issuer), response)
    expect(parse({ code_challenge_methods_supported: ['S256'] })).toEqual(oracle)
  })
})

describe('checkPkceSupport(metadata, assumePkceSupport)', () => {
  it.each<[string, readonly string[] | undefined, readonly string[]]>([
    ['S256 is listed', ['S256'], []],
    ['S256 is listed beside plain', ['plain', 'S256'], []],
    ['exactly this issuer is assumed to support it', undefined, ['https://other.example', issuer]],
  ])('accepts when %s [pkce.support-required] [pkce.assume-list] [AS-07]', (_, methods, assumed) => {
    const metadata = { ...server, ...(methods && { code_challenge_methods_supported: methods }) }
    expect(() => checkPkceSupport(metadata, assumed)).not.toThrow()
  })

  it.each<[string, object, readonly string[], boolean]>([
    ['nothing is announced', {}, [], true],
    ['another issuer is assumed to support it', {}, [`${issuer}/`], true],
    ['only plain is listed', { code_challenge_methods_supported: ['plain'] }, [issuer], false],
    ['the list is empty', { code_challenge_methods_supported: [] }, [issuer], false],
    ['the list has another spelling', { code_challenge_methods_supported: ['s256'] }, [issuer], false],
    ['the list is a text', { code_challenge_methods_supported: 'S256' }, [], true],
  ])(
    'refuses when %s [pkce.support-required] [pkce.assume-list] [AS-07] [AS-08] [AS-09]',
    (_, members, assumed, hint) => {
      const metadata = parseAuthorizationServerMetadata(read({ ...server, ...members }), location)
      const error = thrownBy(() => checkPkceSupport(metadata, assumed))
      expect(error).toMatchObject({ code: 'OAUTH_PKCE_UNSUPPORTED', phase: 'discovery' })
      expect(error.hint?.includes('assumePkceSupport') === true).toBe(hint)
    },
  )
})

describe('checkCodeSupport(metadata)', () => {
  it.each<[string, object]>([
    ['code is listed', { response_types_supported: ['code', 'code id_token'] }],
    ['nothing is listed', {}],
  ])('accepts when %s [as-metadata.code-supported]', (_, members) => {
    expect(() => checkCodeSupport({ ...server, ...members })).not.toThrow()
  })

  it.each<[string, object]>([
    ['only another response type is listed', { ...server, response_types_supported: ['token'] }],
    ['only hybrid types are listed', { ...server, response_types_supported: ['code id_token'] }],
    ['there is no authorization endpoint', { issuer, token_endpoint: server.token_endpoint }],
  ])('refuses when %s [as-metadata.code-supported] [AS-28]', (_, metadata) => {
    expect(thrownBy(() => checkCodeSupport(metadata as typeof server)).code).toBe('OAUTH_DISCOVERY_FAILED')
  })
})

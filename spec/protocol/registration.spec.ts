import fc from 'fast-check'
import * as oauth from 'oauth4webapi'
import { OAuthRegistrationError } from '../../lib/errors'
import { parseJsonObject } from '../../lib/protocol/json'
import {
  buildRegistration,
  chooseAuthenticationMethod,
  isSecretExpired,
  parseRegistration,
  reduceRegistration,
} from '../../lib/protocol/registration'
import { thrownBy } from './thrown-by'

const issuer = 'https://as.example'
const server = { issuer, token_endpoint: `${issuer}/token`, registration_endpoint: `${issuer}/register` }
const loopback = 'http://127.0.0.1:4000/callback'
const web = 'https://app.example/callback'

describe('buildRegistration({ clientMetadata, redirectUris, scope, server, interactive })', () => {
  const build = (o: Partial<Parameters<typeof buildRegistration>[0]>): object =>
    buildRegistration({ clientMetadata: {}, redirectUris: [loopback], server, interactive: true, ...o })

  it('asks for what an interactive client needs and nothing else [dcr.request] [dcr.grant-types] [dcr.application-type]', () => {
    expect(build({})).toEqual({
      redirect_uris: [loopback],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
    })
  })

  it.each<[string, Partial<Parameters<typeof buildRegistration>[0]>, object]>([
    ['the selected scope', { scope: 'read' }, { scope: 'read' }],
    ['configured and selected scope', { clientMetadata: { scope: 'a b' }, scope: 'b c' }, { scope: 'a b c' }],
    ['a web application', { redirectUris: [web] }, { application_type: 'web' }],
    [
      'a configured type unchanged',
      { clientMetadata: { application_type: 'service' } },
      { application_type: 'service' },
    ],
    ['configured grant types unchanged', { clientMetadata: { grant_types: ['x'] } }, { grant_types: ['x'] }],
    [
      'further configured members',
      { clientMetadata: { client_name: 'App', x_vendor: 1 } },
      { client_name: 'App', x_vendor: 1 },
    ],
    ['the redirect URIs in use', { clientMetadata: { redirect_uris: [web] } }, { redirect_uris: [loopback] }],
    [
      'configured redirect URIs else',
      { clientMetadata: { redirect_uris: [web] }, redirectUris: [] },
      { redirect_uris: [web], application_type: 'web' },
    ],
    [
      'a configured method unchanged',
      { clientMetadata: { token_endpoint_auth_method: 'private_key_jwt' } },
      { token_endpoint_auth_method: 'private_key_jwt' },
    ],
  ])('sends %s [dcr.request] [dcr.scope] [dcr.application-type] [dcr.grant-types]', (_, o, expected) => {
    expect(build(o)).toMatchObject(expected)
  })

  it.each<[string, readonly string[], readonly string[], string]>([
    ['an application on a device', [loopback], ['client_secret_basic', 'client_secret_post', 'none'], 'none'],
    [
      'one at a server without public clients',
      [loopback],
      ['client_secret_post', 'client_secret_basic'],
      'client_secret_basic',
    ],
    ['a web application', [web], ['none', 'client_secret_post', 'client_secret_basic'], 'client_secret_basic'],
    ['one at a server with post only', [web], ['none', 'client_secret_post'], 'client_secret_post'],
    ['one at a server with public clients only', [web], ['none'], 'none'],
  ])('picks for %s a method that the server lists [dcr.request]', (_, redirectUris, methods, method) => {
    const listing = { ...server, token_endpoint_auth_methods_supported: methods }
    expect(build({ redirectUris, server: listing })).toMatchObject({ token_endpoint_auth_method: method })
  })

  it('refuses a server without a method for newly registered clients [dcr.unusable] [AS-29]', () => {
    const listing = { ...server, token_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth'] }
    const error = thrownBy(() => build({ server: listing }))
    expect(error).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED', phase: 'registration' })
    expect(error.hint).toContain('clientInformation')
  })

  it('leaves out what a silent client does not need, and members without a value [dcr.request]', () => {
    const clientMetadata = { client_name: 'Job', logo_uri: null, tos_uri: undefined } as unknown as {
      client_name: string
    }
    expect(build({ interactive: false, redirectUris: [], clientMetadata })).toEqual({ client_name: 'Job' })
  })

  it('changes no object of the caller [scope.config-unchanged]', () => {
    const clientMetadata = Object.freeze({
      scope: 'a',
      redirect_uris: Object.freeze([web]),
      contacts: Object.freeze(['x']),
    })
    const redirectUris = Object.freeze([loopback])
    expect(build({ clientMetadata, redirectUris, scope: 'b' })).toMatchObject({ scope: 'a b' })
    expect(clientMetadata.scope).toBe('a')
  })
})

describe('reduceRegistration(request, oauthError)', () => {
  const full = {
    redirect_uris: [loopback, web],
    client_name: 'App',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    scope: 'read',
    software_id: 'x',
  }

  it.each<[string, string, Record<string, unknown>, readonly string[], Record<string, unknown>]>([
    ['the scope', 'invalid_scope', full, ['scope'], { scope: undefined }],
    ['all but the first redirect URI', 'invalid_redirect_uri', full, ['redirect_uris'], { redirect_uris: [loopback] }],
    [
      'the application type when there is one redirect URI',
      'invalid_redirect_uri',
      { redirect_uris: [loopback], application_type: 'native' },
      ['application_type'],
      { application_type: undefined },
    ],
    [
      'what the flow does not need',
      'invalid_client_metadata',
      full,
      ['scope', 'software_id'],
      { scope: undefined, software_id: undefined },
    ],
    [
      'what has a default when nothing else is left',
      'invalid_client_metadata',
      { redirect_uris: [loopback], grant_types: ['authorization_code'], response_types: ['code'] },
      ['grant_types', 'response_types'],
      { grant_types: undefined, response_types: undefined },
    ],
  ])('drops %s after %s [dcr.reduced-retry]', (_, oauthError, request, dropped, changed) => {
    const reduced = reduceRegistration(request, oauthError)
    expect(reduced?.dropped).toEqual(dropped)
    expect(reduced?.request).toEqual({ ...request, ...changed })
    expect(request).toEqual({ ...request })
  })

  it.each<[string, string, Record<string, unknown>]>([
    ['there is no scope to drop', 'invalid_scope', { redirect_uris: [loopback] }],
    ['nothing can be left out', 'invalid_client_metadata', { redirect_uris: [loopback], client_name: 'App' }],
    ['the only redirect URI is refused', 'invalid_redirect_uri', { redirect_uris: [loopback] }],
    ['the error is about something else', 'access_denied', full],
    ['the error is no error', 'constructor', full],
  ])('gives nothing to try when %s [dcr.reduced-retry]', (_, oauthError, request) => {
    expect(reduceRegistration(request, oauthError)).toBeUndefined()
  })
})

describe('parseRegistration(document, { endpoint, redirectUri, supportedMethods })', () => {
  const o = {
    endpoint: `${server.registration_endpoint}?secret`,
    redirectUri: loopback,
    supportedMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  }
  const parse = (document: unknown): object => parseRegistration(parseJsonObject(JSON.stringify(document)) ?? {}, o)

  it.each<[string, object, object]>([
    ['a client id alone', {}, {}],
    ['a secret without expiry', { client_secret: 's' }, { client_secret: 's' }],
    [
      'null and empty members',
      { client_secret: null, token_endpoint_auth_method: '', redirect_uris: [], grant_types: null, scope: '' },
      {},
    ],
    ['members of the wrong type', { redirect_uris: 'x', grant_types: 7, client_secret: 5, scope: ['a'] }, {}],
    [
      'numbers as text',
      { client_secret: 's', client_secret_expires_at: '1700000000' },
      { client_secret: 's', client_secret_expires_at: 1_700_000_000 },
    ],
    ['an expiry that is no number', { client_secret_expires_at: 'never' }, {}],
    [
      'metadata put in place of ours',
      { token_endpoint_auth_method: 'client_secret_post', client_secret: 's', grant_types: ['authorization_code'] },
      { token_endpoint_auth_method: 'client_secret_post', client_secret: 's', grant_types: ['authorization_code'] },
    ],
    [
      'a secret although the method is none',
      { token_endpoint_auth_method: 'none', client_secret: 's' },
      { token_endpoint_auth_method: 'none', client_secret: 's' },
    ],
    [
      'our redirect URI on another loopback port',
      { redirect_uris: ['http://127.0.0.1/callback'] },
      { redirect_uris: ['http://127.0.0.1/callback'] },
    ],
    ['an unknown application type', { application_type: 'spa' }, { application_type: 'spa' }],
    [
      'members that are ours to say',
      { issuer: 'https://evil.example', createdAt: 1, source: 'static', proven: true },
      {},
    ],
    [
      'what manages the registration',
      { registration_client_uri: 'https://evil.example', registration_access_token: 'secret' },
      {},
    ],
  ])(
    'reads %s [dcr.lenient-response] [dcr.substituted] [binding.echo-ignored] [RG-04] [RG-08] [RG-09] [RG-15]',
    (_, members, expected) => {
      expect(parse({ client_id: 'c', ...members })).toEqual({ client_id: 'c', ...expected })
    },
  )

  it.each<[string, object]>([
    ['no client id', {}],
    ['a number as client id', { client_id: 7 }],
    ['an empty client id', { client_id: '' }],
    ['a client id with line breaks', { client_id: 'c\r\nX: 1' }],
    ['other redirect URIs', { client_id: 'c', redirect_uris: ['https://evil.example/callback'] }],
    [
      'a method that nobody can do',
      { client_id: 'c', client_secret: 's', token_endpoint_auth_method: 'tls_client_auth' },
    ],
    ['a method that needs a secret, and none', { client_id: 'c', token_endpoint_auth_method: 'client_secret_basic' }],
    [
      'a method that needs a secret, and an empty one',
      { client_id: 'c', client_secret: '', token_endpoint_auth_method: 'client_secret_post' },
    ],
  ])('refuses %s [dcr.status] [dcr.unusable] [RG-01] [RG-02] [RG-05] [RG-06] [RG-07]', (_, document) => {
    const error = thrownBy(() => parse(document))
    expect(error).toBeInstanceOf(OAuthRegistrationError)
    expect(error).toMatchObject({
      code: 'OAUTH_REGISTRATION_FAILED',
      retryable: false,
      endpoint: server.registration_endpoint,
    })
    expect(error.message).not.toContain('secret"')
    expect(error.hint).toContain('clientInformation')
  })

  it('accepts the answers that oauth4webapi accepts [dcr.status]', async () => {
    const document = { client_id: 'c', client_secret: 's', client_secret_expires_at: 0, redirect_uris: [loopback] }
    const oracle = await oauth.processDynamicClientRegistrationResponse(Response.json(document, { status: 201 }))
    expect(parse(document)).toEqual(oracle)
  })

  it('gives a client or throws the one error, for any document [dcr.lenient-response]', () => {
    const member = fc.constantFrom(
      'client_id',
      'client_secret',
      'client_secret_expires_at',
      'redirect_uris',
      'grant_types',
      'scope',
    )
    fc.assert(
      fc.property(fc.dictionary(member, fc.jsonValue()), (document) => {
        try {
          expect(parse(document)).toHaveProperty('client_id')
        } catch (error) {
          expect((error as OAuthRegistrationError).code).toBe('OAUTH_REGISTRATION_FAILED')
        }
      }),
    )
  })
})

describe('isSecretExpired(client, now)', () => {
  it.each<[boolean, string, object, number]>([
    [false, 'without expiry', { client_secret: 's' }, 1e15],
    [false, 'that says 0', { client_secret: 's', client_secret_expires_at: 0 }, 1e15],
    [false, 'a moment before', { client_secret: 's', client_secret_expires_at: 100 }, 99_999],
    [true, 'at the moment', { client_secret: 's', client_secret_expires_at: 100 }, 100_000],
    [true, 'long after', { client_secret: 's', client_secret_expires_at: 1 }, 1e12],
    [false, 'that does not exist', { client_secret_expires_at: 1 }, 1e12],
  ])(
    'is %s for a secret %s [dcr.secret-expired] [dcr.lenient-response] [RG-03] [RG-04]',
    (expected, _, members, now) => {
      expect(isSecretExpired(members, now)).toBe(expected)
    },
  )
})

describe('chooseAuthenticationMethod({ client, server })', () => {
  type Client = Parameters<typeof chooseAuthenticationMethod>[0]['client']
  const choose = (client: Partial<Client>, methods?: readonly string[]): string =>
    chooseAuthenticationMethod({
      client: { client_id: 'c', hasKey: false, ...client },
      server: { ...server, ...(methods && { token_endpoint_auth_methods_supported: methods }) },
    })
  const all = ['none', 'client_secret_post', 'client_secret_basic', 'private_key_jwt']

  it.each<[string, Partial<Client>, readonly string[] | undefined, string]>([
    [
      'the registered method',
      { client_secret: 's', token_endpoint_auth_method: 'client_secret_post' },
      all,
      'client_secret_post',
    ],
    [
      'the registered method although it is not listed',
      { client_secret: 's', token_endpoint_auth_method: 'client_secret_basic' },
      ['client_secret_post'],
      'client_secret_basic',
    ],
    ['none when registered so, secret or not', { client_secret: 's', token_endpoint_auth_method: 'none' }, all, 'none'],
    ['an assertion with a key', { client_secret: 's', hasKey: true }, all, 'private_key_jwt'],
    ['Basic before post', { client_secret: 's' }, all, 'client_secret_basic'],
    ['post when Basic is not listed', { client_secret: 's' }, ['none', 'client_secret_post'], 'client_secret_post'],
    ['none when nothing else is listed', { client_secret: 's' }, ['none'], 'none'],
    ['none without a secret', {}, all, 'none'],
    ['none with an empty secret', { client_secret: '' }, all, 'none'],
    ['Basic with a secret without a list', { client_secret: 's' }, undefined, 'client_secret_basic'],
    ['none without a secret without a list', {}, undefined, 'none'],
    ['an assertion with only a key without a list', { hasKey: true }, undefined, 'private_key_jwt'],
    [
      'a certificate where that is registered',
      { token_endpoint_auth_method: 'tls_client_auth' },
      all,
      'tls_client_auth',
    ],
  ])('uses %s [client-auth.registered-wins] [client-auth.from-metadata]', (_, client, methods, method) => {
    expect(choose(client, methods)).toBe(method)
  })

  it.each<[string, Partial<Client>, readonly string[] | undefined]>([
    ['only private_key_jwt is offered to a secret', { client_secret: 's' }, ['private_key_jwt']],
    ['only secrets are offered to a client without one', {}, ['client_secret_basic', 'client_secret_post']],
    ['only unknown methods are offered', { client_secret: 's' }, ['tls_client_auth']],
    ['an empty list offers nothing', { client_secret: 's' }, []],
    ['the registered method is unknown', { client_secret: 's', token_endpoint_auth_method: 'client_secret_jwt' }, all],
    ['the registered method needs a secret', { token_endpoint_auth_method: 'client_secret_basic' }, all],
    ['the registered method needs a key', { client_secret: 's', token_endpoint_auth_method: 'private_key_jwt' }, all],
  ])(
    'refuses when %s, without a downgrade [client-auth.registered-wins] [client-auth.from-metadata] [AS-29] [RG-07]',
    (_, client, methods) => {
      const error = thrownBy(() =>
        choose({ ...client, ...(client.client_secret && { client_secret: 'tops3cret' }) }, methods),
      )
      expect(error).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED', phase: 'registration' })
      expect(JSON.stringify(error)).not.toContain('tops3cret')
    },
  )
})

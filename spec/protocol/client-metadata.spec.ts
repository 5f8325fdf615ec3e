import fc from 'fast-check'
import {
  applicationType,
  checkClientIdMetadataUrl,
  checkRedirectUri,
  clientIdMetadataDocument,
  sameRedirectUri,
  type ClientMetadata,
} from '../../lib/protocol/registration'

const loopback = 'http://127.0.0.1:4000/callback'
const documentUrl = 'https://app.example/client.json'

describe('checkRedirectUri(uri)', () => {
  it.each([
    'https://app.example/callback',
    'https://app.example/callback?tenant=1',
    loopback,
    'http://localhost/callback',
    'http://[::1]:1/callback',
    'com.example.app:/callback',
    'com.example.app://callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('accepts %s [authz-url.redirect-shape]', (uri) => {
    expect(() => checkRedirectUri(uri)).not.toThrow()
  })

  it.each([
    'http://app.example/callback',
    'http://127.0.0.2/callback',
    'http://localhost.evil.example/callback',
    'https://app.example/callback#',
    'https://app.example/callback#x',
    'https://user:secret@app.example/callback',
    'https://app.example/call back',
    ' https://app.example/callback',
    'https://app.example/\ncallback',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'vbscript:x',
    'ws://app.example/',
    'urn:ietf:wg:oauth:2.0:oob',
    '/callback',
    'callback',
    '',
  ])('refuses %j with a TypeError [authz-url.redirect-shape]', (uri) => {
    expect(() => checkRedirectUri(uri)).toThrow(TypeError)
  })
})

describe('checkClientIdMetadataUrl(url)', () => {
  it.each([
    documentUrl,
    'https://app.example:8443/a/b',
    'https://app.example/a/',
    'https://app.example/.well-known/x',
    'https://app.example/a..b',
  ])('accepts %s [cimd.url-rules]', (url) => {
    expect(() => checkClientIdMetadataUrl(url)).not.toThrow()
  })

  it.each([
    'http://app.example/client.json',
    'http://127.0.0.1/client.json',
    'https://app.example',
    'https://app.example/',
    'https://app.example/c?x',
    'https://app.example/c?',
    'https://app.example/c#',
    'https://u@app.example/c',
    'https://u:p@app.example/c',
    'https://app.example/../c',
    'https://app.example/a/./c',
    'https://app.example/a/%2E%2e/c',
    'https://app.example/a/..',
    'https://app.example\\c',
    'https://app.example/c d',
    'https:///c',
    'client.json',
    '',
  ])('refuses %j with a TypeError [cimd.url-rules] [RG-18]', (url) => {
    expect(() => checkClientIdMetadataUrl(url)).toThrow(TypeError)
  })
})

describe('clientIdMetadataDocument(url, clientMetadata)', () => {
  const metadata = { client_name: 'App', redirect_uris: [loopback] }

  it('gives the document to publish [cimd.document]', () => {
    expect(clientIdMetadataDocument(documentUrl, metadata)).toEqual({
      ...metadata,
      client_id: documentUrl,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    })
  })

  it('keeps what is configured, but the client id is the URL [cimd.document]', () => {
    const configured = {
      ...metadata,
      client_id: 'mine',
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: 'https://app.example/jwks',
      logo_uri: undefined as unknown as string,
    }
    const document = clientIdMetadataDocument(documentUrl, configured)
    expect(document).toMatchObject({
      client_id: documentUrl,
      grant_types: ['authorization_code'],
      jwks_uri: configured.jwks_uri,
    })
    expect(document.token_endpoint_auth_method).toBe('private_key_jwt')
    expect(document).not.toHaveProperty('logo_uri')
  })

  it.each<[string, string, ClientMetadata]>([
    ['a URL that is no client id', 'http://app.example/c', metadata],
    ['no name', documentUrl, { ...metadata, client_name: '' }],
    ['no redirect URI', documentUrl, { client_name: 'App' }],
    ['a wrong redirect URI', documentUrl, { ...metadata, redirect_uris: ['http://app.example/'] }],
    ['a method with a secret', documentUrl, { ...metadata, token_endpoint_auth_method: 'client_secret_post' }],
    ['a secret', documentUrl, { ...metadata, client_secret: 'secret' }],
  ])('refuses %s with a TypeError [cimd.document] [cimd.no-secret]', (_, url, clientMetadata) => {
    expect(() => clientIdMetadataDocument(url, clientMetadata)).toThrow(TypeError)
  })
})

describe('applicationType(redirectUris)', () => {
  it.each<['native' | 'web', readonly string[]]>([
    ['native', [loopback]],
    ['native', ['http://localhost/cb']],
    ['native', ['com.example.app:/cb']],
    ['native', ['https://app.example/cb', loopback]],
    ['web', ['https://app.example/cb']],
    ['web', ['HTTPS://app.example/cb']],
    ['web', []],
  ])('is %s for %j [dcr.application-type]', (type, uris) => {
    expect(applicationType(uris)).toBe(type)
  })
})

describe('sameRedirectUri(registered, used)', () => {
  it.each<[boolean, string, string]>([
    [true, loopback, loopback],
    [true, loopback, 'http://127.0.0.1:5000/callback'],
    [true, 'http://127.0.0.1/callback', loopback],
    [true, 'http://localhost:1/cb?x=1', 'http://localhost:2/cb?x=1'],
    [true, 'http://[::1]:1/cb', 'http://[::1]/cb'],
    [true, 'https://app.example/cb', 'https://app.example/cb'],
    [false, loopback, 'http://localhost:4000/callback'],
    [false, loopback, 'http://127.0.0.1:4000/other'],
    [false, loopback, 'http://127.0.0.1:4000/callback/'],
    [false, loopback, 'http://127.0.0.1:4000/callback?x'],
    [false, loopback, 'https://127.0.0.1:4000/callback'],
    [false, loopback, 'http://127.0.0.1:4000@evil.example/callback'],
    [false, 'http://127.0.0.1/cb', 'http://127.0.0.1.evil.example/cb'],
    [false, 'https://app.example:1/cb', 'https://app.example:2/cb'],
    [false, 'https://app.example/cb', 'https://app.example/cb/'],
    [false, 'com.example.app:1/cb', 'com.example.app:2/cb'],
  ])('is %s for %s and %s [dcr.redirect-drift] [RG-05] [RG-20]', (same, registered, used) => {
    expect(sameRedirectUri(registered, used)).toBe(same)
    expect(sameRedirectUri(used, registered)).toBe(same)
  })

  it('is an equivalence on every text [dcr.redirect-drift]', () => {
    const uri = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.constantFrom('127.0.0.1', 'localhost', 'as.example'), fc.nat(65_535))
        .map(([host, port]) => `http://${host}:${port}/cb`),
    )
    fc.assert(
      fc.property(uri, uri, uri, (a, b, c) => {
        expect(sameRedirectUri(a, a)).toBe(true)
        expect(sameRedirectUri(a, b)).toBe(sameRedirectUri(b, a))
        if (sameRedirectUri(a, b) && sameRedirectUri(b, c)) expect(sameRedirectUri(a, c)).toBe(true)
      }),
    )
  })
})

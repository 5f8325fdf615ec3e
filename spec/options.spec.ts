import axios from 'axios'
import { oauth, OAuthClientProvider, type OAuthOptions } from '../lib/index'

const redirect = 'http://127.0.0.1/callback'
const good: OAuthOptions = {
  serverUrl: 'https://api.example.com/mcp',
  clientMetadata: { client_name: 'Spec', redirect_uris: [redirect] },
}

function messageOf(options: Record<string, unknown>): string {
  try {
    new OAuthClientProvider({ ...good, ...options })
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  return 'accepted'
}

const wrong: readonly (readonly [option: string, value: unknown, expected: string])[] = [
  ['serverUrl', 'not a url', 'an absolute URL'],
  ['serverUrl', 'http://api.example.com', 'https'],
  ['serverUrl', 'ftp://127.0.0.1/x', 'https'],
  ['serverUrl', 'https://user:secret@api.example.com/', 'without user name and password'],
  ['grant', {}, 'a grant such as authorizationCode()'],
  ['clientMetadata', 'name', 'an object'],
  ['clientMetadata', { redirect_uris: 'http://127.0.0.1/' }, 'redirect_uris'],
  ['clientInformation', {}, 'client_id'],
  ['clientInformation', { client_id: '' }, 'client_id'],
  ['clientInformation', { client_id: 'c', client_secret: '' }, 'client_secret'],
  ['clientInformation', { client_id: 'c', issuer: 'http://as.example.com' }, 'issuer'],
  ['storage', {}, 'get is missing'],
  ['storage', { getTokens: () => undefined }, 'fromTokenStorage'],
  ['partition', '', 'a non-empty string'],
  ['redirectHandler', 'open', 'a function'],
  ['receiver', {}, 'loopbackReceiver()'],
  ['timeout', -1, 'milliseconds'],
  ['timeout', '5s', 'milliseconds'],
  ['timeout', Number.NaN, 'milliseconds'],
  ['requestTimeout', Infinity, 'milliseconds'],
  ['scope', '', 'scopes'],
  ['scope', ['read'], 'scopes'],
  ['stepUp', 'always', "'auto' or 'throw' or 'off'"],
  ['issuer', 'https://as.example.com/?x=1', 'issuer'],
  ['authorizationServerMetadata', { issuer: 'https://as.example.com' }, 'token_endpoint'],
  ['resource', 'mcp', 'absolute URL'],
  ['resourceMatch', 'child', "'parent' or 'exact'"],
  ['authorizeParams', { state: 'mine' }, 'state'],
  ['authorizeParams', { audience: 5 }, 'an object of strings'],
  ['tokenParams', { grant_type: 'password' }, 'grant_type'],
  ['origins', ['http://other.example.com'], 'https URLs'],
  ['legacy', true, "'auto' or 'off'"],
  ['trustedIssuers', 'https://as.example.com', 'an array of issuers'],
  ['allowPrivateAddresses', 'yes', 'true or false'],
  ['isUnauthorized', true, 'a function'],
]

describe('new OAuthClientProvider(options)', () => {
  it.each(wrong)(
    'refuses %s: %j with a sentence that names the option and what was expected [errors.base]',
    (option, value, expected) => {
      const message = messageOf({ [option]: value })
      expect(message).toContain(option)
      expect(message).toContain(expected)
    },
  )

  it('suggests the option that a misspelt one means', () => {
    expect(messageOf({ clientMetaData: {} })).toContain('did you mean `clientMetadata`')
    expect(messageOf({ verbose: true })).toContain('there is no option `verbose`')
  })

  it('shows no secret in a refusal', () => {
    expect(messageOf({ clientInformation: { client_id: '', client_secret: 'hush' } })).not.toContain('hush')
    expect(messageOf({ serverUrl: 'https://user:hush@api.example.com/' })).not.toContain('hush')
    expect(messageOf({ initialAccessToken: 5 })).toContain('initialAccessToken')
  })

  it('refuses a plain-http server beyond loopback and a URL with user name [attach.https-only] [RQ-11] [RQ-18]', () => {
    expect(messageOf({ serverUrl: 'http://example.com' })).toContain('https')
    expect(messageOf({ serverUrl: 'https://u:p@api.example.com/mcp' })).toContain('user name')
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(messageOf({ serverUrl: `http://${host}:8080/mcp` })).toBe('accepted')
    }
  })

  it('needs a redirect URI for signing in, unless a receiver brings one [registration.config-checked]', () => {
    const { serverUrl } = good
    expect(() => new OAuthClientProvider({ serverUrl: serverUrl as string })).toThrow(TypeError)
    expect(
      () => new OAuthClientProvider({ serverUrl: serverUrl as string, clientMetadata: { redirect_uris: [] } }),
    ).toThrow(/redirect_uris/)
    const receiver = { open: () => Promise.reject(new Error('unused')) }
    expect(() => new OAuthClientProvider({ serverUrl: serverUrl as string, receiver })).not.toThrow()
  })

  it('refuses ways to ask a person that exclude each other', () => {
    const receiver = { open: () => Promise.reject(new Error('unused')) }
    expect(messageOf({ receiver, redirectHandler: () => undefined })).toContain('either `receiver` or')
    expect(messageOf({ callbackHandler: () => Promise.resolve('') })).toContain('redirectHandler')
  })

  it('refuses options that name different issuers', () => {
    const message = messageOf({
      issuer: 'https://one.example.com',
      clientInformation: { client_id: 'c', issuer: 'https://two.example.com' },
    })
    expect(message).toContain('several issuers')
  })

  it('reads own members only and changes nothing it was given [scope.config-unchanged] [RQ-14]', () => {
    const options = Object.freeze({ ...good, clientMetadata: Object.freeze({ ...good.clientMetadata }) })
    expect(() => new OAuthClientProvider(options)).not.toThrow()
    const polluted = Object.prototype as { issuer?: string; allowPrivateAddresses?: boolean }
    polluted.issuer = 'https://evil.example.com'
    polluted.allowPrivateAddresses = true
    try {
      const { settings } = new OAuthClientProvider(good).context
      expect(settings.issuer).toBeUndefined()
      expect(settings.allowPrivateAddresses).toBeUndefined()
    } finally {
      delete polluted.issuer
      delete polluted.allowPrivateAddresses
    }
  })
})

describe('oauth(instance, options)', () => {
  it('takes the server URL from the instance', () => {
    const { serverUrl: _given, ...rest } = good
    const provider = oauth(axios.create({ baseURL: 'https://api.example.com/v1' }), rest)
    expect(provider.context.settings.serverUrl).toBe('https://api.example.com/v1')
    expect(() => oauth(axios.create(), rest)).toThrow(/serverUrl/)
  })

  it.each([[undefined], [{}], ['https://api.example.com']])('refuses %j for an instance', (value) => {
    expect(() => oauth(value as never, good)).toThrow(/axios instance/)
  })
})

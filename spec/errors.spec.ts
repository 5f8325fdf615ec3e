import { inspect } from 'node:util'
import {
  isOAuthFlowError,
  OAuthAuthorizationError,
  OAuthDiscoveryError,
  OAuthFlowError,
  OAuthRegistrationError,
  OAuthScopeError,
  OAuthTokenError,
} from '../lib/index'
import * as errors from '../lib/errors'

const details = { code: 'OAUTH_TEMPORARY' as const }

describe('OAuthFlowError', () => {
  it.each([
    [OAuthDiscoveryError, 'discovery'],
    [OAuthRegistrationError, 'registration'],
    [OAuthAuthorizationError, 'authorization'],
    [OAuthTokenError, 'token'],
    [OAuthScopeError, 'scope'],
  ])('has the subclass $name for its phase [errors.base]', (Class, phase) => {
    const error = new Class('It failed.', details)
    expect(error).toBeInstanceOf(Class)
    expect(error).toBeInstanceOf(OAuthFlowError)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ phase, code: 'OAUTH_TEMPORARY', retryable: false, name: Class.errorName })
    expect(new OAuthFlowError('x', details)).not.toBeInstanceOf(Class)
  })

  it('is recognised across copies of the library [errors.instanceof]', () => {
    let copy: typeof errors | undefined
    jest.isolateModules(() => {
      copy = jest.requireActual('../lib/errors')
    })
    const foreign = new (copy as typeof errors).OAuthTokenError('x', details)
    expect(Object.getPrototypeOf(foreign)).not.toBe(OAuthTokenError.prototype)
    expect(foreign).toBeInstanceOf(OAuthTokenError)
    expect(foreign).toBeInstanceOf(OAuthFlowError)
    expect(foreign).not.toBeInstanceOf(OAuthScopeError)
    expect(isOAuthFlowError(foreign)).toBe(true)
    for (const other of [undefined, null, 'x', {}, new Error('x'), []]) expect(isOAuthFlowError(other)).toBe(false)
  })

  it('shows origin and path of the endpoint, and what the server said in bounds [errors.oauth-fields] [SC-13]', () => {
    const error = new OAuthTokenError('x', {
      ...details,
      endpoint: 'https://user:pass@as.example.com/token?code=secret#frag',
      status: 400,
      oauthError: 'invalid_grant',
      oauthErrorDescription: 'a'.repeat(1_000_000),
      hint: 'Do this.',
    })
    expect(error.endpoint).toBe('https://as.example.com/token')
    expect(error.oauthErrorDescription).toHaveLength(1024)
    expect(error).toMatchObject({ status: 400, oauthError: 'invalid_grant', hint: 'Do this.' })
    expect(new OAuthTokenError('x', { ...details, oauthError: 'bad"code\n' }).oauthError).toBeUndefined()
  })

  it('keeps its message on one line without control and bidirectional characters [errors.quoted] [WA-31]', () => {
    const hostile = '\x1b]0;pwn\x07\r\nnext\u2028\u202egnp\u0085'
    const error = new OAuthFlowError(`The server said ${errors.quote(hostile)}.`, details)
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
    expect(new OAuthFlowError('x'.repeat(5000), details).message).toHaveLength(1024)
  })

  it('keeps of a foreign cause its name and code only [errors.no-axios-error] [SC-12]', () => {
    const cause = Object.assign(new SyntaxError('Unexpected token in {"secret":"hush"}'), {
      code: 'ECONNRESET',
      config: { data: 'client_secret=hush' },
      cause: { deep: 'hush' },
    })
    const error = new OAuthFlowError('It failed.', { ...details, cause })
    expect(error.cause).toMatchObject({ name: 'SyntaxError', code: 'ECONNRESET' })
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('hush')
    const ours = new OAuthTokenError('inner', details)
    expect(new OAuthFlowError('outer', { ...details, cause: ours }).cause).toBe(ours)
  })

  it('hands URL, state and response out through accessors and in no rendering [redact.everywhere]', () => {
    const shared = new OAuthAuthorizationError('A person is needed.', {
      code: 'OAUTH_AUTHORIZATION_REQUIRED',
      authorizationUrl: 'https://as.example.com/authorize?state=hush',
      state: 'hush',
    })
    const error = OAuthFlowError.withResponse(shared, { data: 'hush' })
    expect(error.authorizationUrl).toContain('state=hush')
    expect(error.state).toBe('hush')
    expect(error.response).toEqual({ data: 'hush' })
    const renderings = [
      String(error),
      error.stack,
      JSON.stringify(error),
      inspect(error, { depth: Infinity, showHidden: true }),
    ]
    expect(renderings.join('\n')).not.toContain('hush')
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      name: 'OAuthAuthorizationError',
      code: 'OAUTH_AUTHORIZATION_REQUIRED',
    })
  })
})

describe('endpointOf(url)', () => {
  it.each([
    ['https://as.example.com/token?x=1#y', 'https://as.example.com/token'],
    ['https://u:p@as.example.com', 'https://as.example.com/'],
    ['no url', undefined],
    [undefined, undefined],
  ])('gives of %s origin and path only', (url, expected) => {
    expect(errors.endpointOf(url)).toBe(expected)
  })
})

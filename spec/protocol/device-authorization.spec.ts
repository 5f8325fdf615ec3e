import { parseDeviceAuthorization } from '../../lib/protocol/device-authorization'
import { thrownBy } from './thrown-by'

const endpoint = 'https://as.example/device'
const answer = { device_code: 'device-code', user_code: 'WDJB-MJHT', verification_uri: 'https://as.example/enter' }
const parse = (members: Readonly<Record<string, unknown>>) =>
  parseDeviceAuthorization({ ...answer, ...members }, endpoint)

describe('parseDeviceAuthorization()', () => {
  it('reads what RFC 8628 defines, with its defaults [device.request] [device.polling]', () => {
    expect(parse({})).toEqual({
      deviceCode: 'device-code',
      userCode: 'WDJB-MJHT',
      verificationUri: 'https://as.example/enter',
      verificationUriComplete: undefined,
      expiresIn: 600,
      interval: 5,
    })
    const complete = 'https://as.example/enter?user_code=WDJB-MJHT'
    expect(parse({ verification_uri_complete: complete, expires_in: '1800', interval: 10 })).toMatchObject({
      verificationUriComplete: complete,
      expiresIn: 1800,
      interval: 10,
    })
  })

  it('reads the verification_url of Google [device.request]', () => {
    const { verification_uri: uri, ...rest } = answer
    expect(parseDeviceAuthorization({ ...rest, verification_url: uri }, endpoint).verificationUri).toBe(uri)
  })

  it.each([[0], [-1], ['x'], [null], [{}], [0.4]])(
    'takes an interval of %j as the default [device.polling]',
    (interval) => {
      expect(parse({ interval }).interval).toBe(5)
    },
  )

  const damaged: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['no device_code', { device_code: '' }],
    ['no user_code', { user_code: undefined }],
    ['a user_code that writes to the terminal', { user_code: '\u001b[2JAAAA' }],
    ['a user_code that turns the text round', { user_code: 'AB\u202eCD' }],
    ['a user_code of a page', { user_code: 'A'.repeat(65) }],
    ['no verification_uri', { verification_uri: 7 }],
  ]
  it.each(damaged)('refuses an answer with %s [device.request]', (_what, members) => {
    expect(thrownBy(() => parse(members))).toMatchObject({ code: 'OAUTH_TOKEN_INVALID', retryable: false })
  })

  const forbidden = [
    'javascript:alert(1)',
    'http://as.example/enter',
    'file:///etc/passwd',
    'https://as@evil.example',
    '--help',
    '',
  ]
  it.each(forbidden)('shows nobody the URL %j [device.request] [authz-url.safe-to-open]', (url) => {
    const members = [{ verification_uri: url }, ...(url === '' ? [] : [{ verification_uri_complete: url }])]
    for (const member of members) expect(thrownBy(() => parse(member))).toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
  })
})

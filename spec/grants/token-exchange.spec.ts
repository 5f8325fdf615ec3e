import { tokenExchange, type OAuthOptions } from 'axios-oauth2'
import * as oauth4webapi from 'oauth4webapi'
import { failureOf } from '../support/failure-of'
import { rendered } from '../support/renderings'
import { startWorld, type World } from '../support/world'

const type = (name: string): string => `urn:ietf:params:oauth:token-type:${name}`
const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const subjectToken = 'the-users-token-of-elsewhere'
const subject = { subjectToken, subjectTokenType: type('access_token') }

let world: World
beforeEach(async () => {
  world = await startWorld({ scopesSupported: ['read'] })
})
afterEach(() => world.stop())

const exchanging = (grant = tokenExchange(subject), o: Partial<OAuthOptions> = {}) =>
  world.connect({ grant, clientInformation: { client_id: 'backend', client_secret: 'a secret' }, ...o }).provider

function issuing(members: Readonly<Record<string, unknown>> = {}): void {
  const body = { access_token: 'exchanged', token_type: 'Bearer', issued_token_type: type('access_token'), ...members }
  world.answer('token', { body })
}

describe('tokenExchange()', () => {
  it('sends subject token and type, requested type, scope and resource, as oauth4webapi does [exchange.request]', async () => {
    issuing()
    expect(await exchanging().getAccessToken()).toBe('exchanged')
    const own = Object.fromEntries(world.requests('token')[0]!.form!)
    expect(own).toEqual({
      grant_type: grantType,
      subject_token: subjectToken,
      subject_token_type: type('access_token'),
      requested_token_type: type('access_token'),
      scope: 'read',
      resource: world.serverUrl,
    })
    const { grant_type: _grantType, ...parameters } = own
    await oauth4webapi.genericTokenEndpointRequest(
      { issuer: world.issuer, token_endpoint: `${world.issuer}/token` },
      { client_id: 'backend' },
      oauth4webapi.ClientSecretBasic('a secret'),
      grantType,
      new URLSearchParams(parameters),
      { [oauth4webapi.allowInsecureRequests]: true },
    )
    const [ours, theirs] = world.requests('token')
    expect(Object.fromEntries(theirs!.form!)).toEqual(own)
    expect(theirs!.headers.authorization).toBe(ours!.headers.authorization)
  })

  it('sends audience and actor where they are configured, each token asked for anew [exchange.request]', async () => {
    issuing({ issued_token_type: type('jwt'), expires_in: 600 })
    const asked: unknown[] = []
    const grant = tokenExchange({
      subjectToken: (o) => `subject-${asked.push(o)}`,
      subjectTokenType: type('jwt'),
      requestedTokenType: type('jwt'),
      audience: 'inventory',
      actorToken: async () => 'actor',
      actorTokenType: type('id_token'),
    })
    const provider = exchanging(grant)
    await provider.getAccessToken()
    await provider.authorize()
    expect(Object.fromEntries(world.requests('token')[1]!.form!)).toMatchObject({
      subject_token: 'subject-2',
      requested_token_type: type('jwt'),
      audience: 'inventory',
      actor_token: 'actor',
      actor_token_type: type('id_token'),
    })
    expect(asked).toEqual([{ issuer: world.issuer }, { issuer: world.issuer }])
  })

  const wrong: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['another type than asked for', { issued_token_type: type('refresh_token') }],
    ['no type', { issued_token_type: undefined }],
    ['a type of another shape', { issued_token_type: [type('access_token')] }],
    ['a token that is no access token', { token_type: 'N_A' }],
  ]
  it.each(wrong)('refuses an answer with %s [exchange.request] [token.type]', async (_what, members) => {
    issuing(members)
    await expect(exchanging().getAccessToken()).rejects.toMatchObject({ code: 'OAUTH_TOKEN_INVALID', retryable: false })
  })

  it('is a typed error without the subject token when the server refuses it [SC-02]', async () => {
    world.answer('token', {
      status: 400,
      headers: { Date: new Date(world.clock.now()).toUTCString() },
      body: { error: 'invalid_request', error_description: `bad ${subjectToken}` },
    })
    const error = await failureOf(exchanging().getAccessToken())
    expect(error).toMatchObject({ code: 'OAUTH_TOKEN_ENDPOINT_ERROR', oauthError: 'invalid_request' })
    expect(error.hint).toContain('must not have expired')
    expect(rendered(error)).not.toContain(subjectToken)
  })

  const unusable: readonly (readonly [string, object])[] = [
    ['no subject token', { subjectTokenType: type('jwt') }],
    ['no subject token type', { subjectToken }],
    ['an empty requested type', { ...subject, requestedTokenType: '' }],
    ['an actor without type', { ...subject, actorToken: 'actor' }],
  ]
  it.each(unusable)('is refused at construction with %s', (_what, options) => {
    expect(() => tokenExchange(options as never)).toThrow(TypeError)
  })
})

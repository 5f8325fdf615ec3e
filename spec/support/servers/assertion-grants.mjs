import { errors } from 'oidc-provider'
import { createLocalJWKSet, jwtVerify } from 'jose'

const grantType = (name) => `urn:ietf:params:oauth:grant-type:${name}`
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/**
 * Grants that oidc-provider does not bring along: assertions (RFC 7523 §2.1, ID-JAGs among them) and token exchange
 * (RFC 8693) for JWTs of trusted issuers. `trusted`: issuer → JSON Web Key Set. `describeResource` as the provider's own.
 */
export function registerAssertionGrants(provider, { trusted, describeResource }) {
  const keysOf = new Map(Object.entries(trusted).map(([issuer, jwks]) => [issuer, createLocalJWKSet(jwks)]))

  async function verify(token, client) {
    const issuer = readIssuer(token)
    const keys = keysOf.get(issuer)
    if (keys === undefined) throw new errors.InvalidGrant('the issuer of the assertion is not trusted')
    try {
      const options = { issuer, audience: provider.issuer, requiredClaims: ['exp', 'sub'] }
      const { payload, protectedHeader } = await jwtVerify(token, keys, options)
      // An ID-JAG is for one client (draft-ietf-oauth-identity-assertion-authz-grant §4.4).
      const forAnother = protectedHeader.typ === 'oauth-id-jag+jwt' && payload.client_id !== client.clientId
      if (!forAnother) return payload
    } catch (error) {
      // Some servers quote what they refuse.
      throw new errors.CustomOIDCProviderError('invalid_grant', `${error.message}: ${token}`)
    }
    throw new errors.InvalidGrant('the assertion is for another client')
  }

  async function issue(ctx, token) {
    const { client, params } = ctx.oidc
    const { sub, resource, scope: ceiling } = await verify(token, client)
    if (resource !== undefined && resource !== params.resource) throw new errors.InvalidTarget()
    const info = await describeResource(ctx, params.resource)
    const asked = (params.scope ?? ceiling ?? info.scope).split(' ')
    const allowed = [info.scope, ceiling ?? info.scope].map((list) => list.split(' '))
    const scope = asked.filter((name) => allowed.every((list) => list.includes(name))).join(' ')
    const accessToken = new provider.AccessToken({ accountId: sub, client, scope })
    accessToken.resourceServer = new provider.ResourceServer(params.resource, info)
    const value = await accessToken.save()
    return { access_token: value, token_type: 'Bearer', expires_in: accessToken.expiration, scope }
  }

  const common = ['scope', 'resource']
  provider.registerGrantType(
    grantType('jwt-bearer'),
    async (ctx) => (ctx.body = await issue(ctx, ctx.oidc.params.assertion)),
    ['assertion', ...common],
  )
  provider.registerGrantType(
    grantType('token-exchange'),
    async (ctx) => {
      const answer = await issue(ctx, ctx.oidc.params.subject_token)
      ctx.body = { ...answer, issued_token_type: accessTokenType }
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', ...common],
  )
}

function readIssuer(token = '') {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).iss
  } catch {
    return undefined
  }
}

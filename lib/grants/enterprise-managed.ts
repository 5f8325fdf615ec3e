import { textOf } from '../callback'
import { IdentityProvider, type IdentityProviderOptions } from './identity-provider'
import type { SilentGrant } from './grant'
import { jwtBearerGrantType } from './jwt-bearer'
import { tokenExchangeGrantType, tokenTypes } from './token-exchange'

/** What enterprise-managed authorization starts from. */
export interface EnterpriseManagedOptions {
  /** The user's ID token (or SAML assertion) of the company's sign-in; called for each new access token. */
  readonly identityAssertion: () => string | Promise<string>
  /** @default 'urn:ietf:params:oauth:token-type:id_token' */
  readonly identityAssertionType?: string
  readonly identityProvider: IdentityProviderOptions
}

/**
 * The company decides which resources its people may use (MCP extension Enterprise-Managed Authorization §4 and §5): the
 * user's identity assertion is exchanged at the identity provider for an authorization grant (ID-JAG), which is redeemed
 * at the resource's authorization server, whose metadata has been verified before. Where the identity assertion goes is
 * configured, whatever the resource says. The ID-JAG is kept nowhere: each new access token starts from the identity assertion.
 */
export function enterpriseManaged(o: EnterpriseManagedOptions): SilentGrant {
  const { identityAssertion, identityAssertionType = tokenTypes.idToken } = o
  if (typeof identityAssertion !== 'function') {
    throw new TypeError('axios-oauth2: `identityAssertion` must be a function that gives the identity assertion.')
  }
  const provider = new IdentityProvider(o.identityProvider)
  return {
    kind: 'silent',
    name: 'enterprise_managed',
    parameters: async ({ server, scope, context }) => {
      const subject = await textOf(identityAssertion, {
        name: 'identityAssertion',
        within: context.settings.requestTimeout,
        given: undefined,
      })
      const exchange = {
        grant_type: tokenExchangeGrantType,
        requested_token_type: tokenTypes.idJag,
        audience: server.issuer,
        resource: server.resource,
        scope: scope ?? '',
        subject_token: subject,
        subject_token_type: identityAssertionType,
      }
      const assertion = await provider.exchange(exchange, tokenTypes.idJag, context)
      return { grant_type: jwtBearerGrantType, assertion }
    },
  }
}

import { OAuthDiscoveryError, quote } from '../errors'
import type { AuthorizationServerMetadata } from './metadata'

/**
 * Makes sure that the server verifies S256 challenges (MCP, Authorization Code Protection): a server that ignores PKCE
 * cannot be told from outside, so its metadata must say so, or the user, by listing exactly this issuer in
 * `assumePkceSupport`. Throws `OAUTH_PKCE_UNSUPPORTED`.
 */
export function checkPkceSupport(metadata: AuthorizationServerMetadata, assumePkceSupport: readonly string[]): void {
  const { issuer, code_challenge_methods_supported: methods } = metadata
  if (methods === undefined ? assumePkceSupport.includes(issuer) : methods.includes('S256')) return
  const reason =
    methods === undefined
      ? 'its metadata has no `code_challenge_methods_supported`'
      : 'its `code_challenge_methods_supported` has no S256'
  throw new OAuthDiscoveryError(
    `The authorization server ${quote(issuer)} does not announce PKCE with S256: ${reason}.`,
    {
      code: 'OAUTH_PKCE_UNSUPPORTED',
      endpoint: issuer,
      ...(methods === undefined && {
        hint: `If you know that it supports S256, list this issuer in the option \`assumePkceSupport\`.`,
      }),
    },
  )
}

/** Makes sure that the server offers the authorization code flow at all. Throws `OAUTH_DISCOVERY_FAILED`. */
export function checkCodeSupport(metadata: AuthorizationServerMetadata): void {
  const { issuer, authorization_endpoint: endpoint, response_types_supported: types } = metadata
  if (endpoint !== undefined && types?.includes('code') !== false) return
  const reason =
    endpoint === undefined
      ? 'its metadata has no `authorization_endpoint`'
      : 'its `response_types_supported` has no `code`'
  throw new OAuthDiscoveryError(
    `The authorization server ${quote(issuer)} offers no authorization code flow: ${reason}.`,
    {
      code: 'OAUTH_DISCOVERY_FAILED',
      endpoint: issuer,
      hint: 'Configure another `grant`, such as clientCredentials(), or another `issuer`.',
    },
  )
}

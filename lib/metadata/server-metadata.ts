import { isOAuthFlowError, OAuthDiscoveryError, quote } from '../errors'
import { isPrivateAddress } from '../protocol/address'
import { endpointsFor } from '../protocol/certificate-endpoints'
import { checkEndpoint, isLoopbackUrl, type EndpointRule } from '../protocol/endpoint'
import { checkIssuer, isUsableIssuer } from '../protocol/issuer'
import type { JsonObject } from '../protocol/json'
import { parseAuthorizationServerMetadata, type AuthorizationServerMetadata } from '../protocol/metadata'
import { credentialEndpoints } from './discovered-server'
import type { Settings } from '../settings'
import type { DiscoveredServer } from '../storage/record'

/** Endpoints that a client may use; each must be a URL it may contact. */
const endpointMembers = ['authorization_endpoint', ...credentialEndpoints] as const

type AddressRule = Pick<EndpointRule, 'loopback' | 'publicOnly'>

/** The metadata of the expected issuer, out of a document found at `url`. Throws an `OAuthDiscoveryError`. */
export function readServerMetadata(
  settings: Settings,
  document: JsonObject,
  { url, expected }: { readonly url: string; readonly expected: string },
): AuthorizationServerMetadata {
  const metadata = parseAuthorizationServerMetadata(document, url)
  checkIssuer({ received: metadata.issuer, expected, trustedIssuers: settings.trustedIssuers })
  return checkServerMetadata(settings, metadata, expected)
}

/** What `issuer` may say of its endpoints, as this client uses them. Throws an `OAuthDiscoveryError`. */
export function checkServerMetadata(
  settings: Settings,
  document: AuthorizationServerMetadata,
  issuer: string,
): AuthorizationServerMetadata {
  const isInternal = URL.canParse(issuer) && isPrivateAddress(new URL(issuer).hostname)
  const rule = { loopback: isLoopbackUrl(issuer), publicOnly: settings.publicOnly && !isInternal }
  return withCheckedEndpoints(settings, document, rule)
}

/** Whether what was recorded of a server is still what was accepted once; a storage may be damaged. */
export function isIntact(settings: Settings, { authorizationServer, issuer }: DiscoveredServer): boolean {
  try {
    const metadata = parseAuthorizationServerMetadata(authorizationServer, issuer)
    // Addresses were judged when it was discovered.
    withCheckedEndpoints(settings, metadata, { loopback: true, publicOnly: false })
    return metadata.issuer === issuer
  } catch (error) {
    if (!isOAuthFlowError(error)) throw error
    return false
  }
}

/** One endpoint that may not be contacted spoils the document (OAuth 2.1 §1.5). */
function withCheckedEndpoints(
  { clientInformation, clientMetadata }: Settings,
  document: AuthorizationServerMetadata,
  rule: AddressRule,
): AuthorizationServerMetadata {
  if (!isUsableIssuer(document.issuer, true)) throw unusableIssuer(document.issuer)
  const metadata = endpointsFor((clientInformation ?? clientMetadata).token_endpoint_auth_method, document)
  for (const name of endpointMembers) {
    const value = metadata[name]
    if (typeof value === 'string') checkEndpoint(value, { name, ...rule })
  }
  return metadata
}

/** Even a trusted issuer must be able to be one: records and errors speak of its origin. */
function unusableIssuer(issuer: string): OAuthDiscoveryError {
  return new OAuthDiscoveryError(
    `The authorization-server metadata names the issuer ${quote(issuer)}, which is no URL.`,
    {
      code: 'OAUTH_METADATA_INVALID',
      endpoint: issuer,
    },
  )
}

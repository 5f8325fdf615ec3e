import { OAuthDiscoveryError, quote } from '../errors'
import type { AuthorizationServerMetadata } from '../protocol/metadata'
import type { DiscoveredServer } from '../storage/record'

/** Endpoints that get credentials: they stay where they were first used, or move to the issuer's origin (THREATS D11). */
export const credentialEndpoints = [
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
  'device_authorization_endpoint',
] as const

/** The metadata of a discovered server. */
export function metadataOf(server: DiscoveredServer): AuthorizationServerMetadata {
  return server.authorizationServer as unknown as AuthorizationServerMetadata
}

/** Refuses an endpoint that moved to a host other than the issuer's. */
export function checkPinned(known: DiscoveredServer, found: DiscoveredServer): void {
  const before = metadataOf(known)
  const after = metadataOf(found)
  const moved = credentialEndpoints.find((name) => {
    const [was, is] = [before[name], after[name]]
    if (typeof was !== 'string' || typeof is !== 'string' || was === is) return false
    return new URL(is).origin !== new URL(found.issuer).origin
  })
  if (moved === undefined) return
  throw new OAuthDiscoveryError(`The ${moved} of ${quote(found.issuer)} moved to another host.`, {
    code: 'OAUTH_AS_CHANGED',
    endpoint: String(after[moved]),
    hint: 'Nothing was sent there. If the move is genuine, remove the session from the storage and sign in with a new provider.',
  })
}

/** Credentials bound to one server do not go to another (THREATS D11). */
export function otherServer(bound: string, server: DiscoveredServer): OAuthDiscoveryError {
  return new OAuthDiscoveryError(
    `The credentials belong to ${quote(bound)}, the resource now names ${quote(server.issuer)}.`,
    {
      code: 'OAUTH_AS_CHANGED',
      endpoint: server.issuer,
      hint: 'Nothing was sent. If the move is genuine, configure credentials of the new server and its `issuer`.',
    },
  )
}

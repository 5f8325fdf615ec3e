import { isCertificateMethod } from './authentication-method'
import type { AuthorizationServerMetadata } from './metadata'

/** Endpoints at which a client authenticates. */
const aliasedMembers = [
  'token_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
  'device_authorization_endpoint',
] as const

/**
 * The metadata as a client with this authentication method uses it. RFC 8705 §5: `mtls_endpoint_aliases` has endpoints
 * "that, when present, an OAuth client intending to do mutual TLS uses in preference to the conventional endpoints".
 * Every other client has the document unchanged.
 */
export function endpointsFor(
  method: string | undefined,
  metadata: AuthorizationServerMetadata,
): AuthorizationServerMetadata {
  const aliases = isCertificateMethod(method) ? (metadata.mtls_endpoint_aliases ?? {}) : {}
  const used = aliasedMembers.filter((name) => Object.hasOwn(aliases, name))
  return { ...metadata, ...Object.fromEntries(used.map((name) => [name, aliases[name]])) }
}

import * as z from 'zod/mini'
import { OAuthDiscoveryError, endpointOf } from '../errors'
import { isDeeperThan, type JsonObject } from './json'
import { dictionary, lenient, list, text } from './lenient'

export { checkCodeSupport, checkPkceSupport } from './server-support'

/** Protected-resource metadata (RFC 9728 §2). Unknown members are kept. */
export interface ProtectedResourceMetadata {
  readonly resource: string
  readonly authorization_servers?: readonly string[]
  readonly scopes_supported?: readonly string[]
  readonly bearer_methods_supported?: readonly string[]
  readonly resource_name?: string
  readonly dpop_bound_access_tokens_required?: boolean
  readonly dpop_signing_alg_values_supported?: readonly string[]
  readonly [member: string]: unknown
}

/** Authorization-server metadata (RFC 8414 §2, OpenID Connect Discovery §3). Unknown members are kept. */
export interface AuthorizationServerMetadata {
  readonly issuer: string
  readonly token_endpoint: string
  readonly authorization_endpoint?: string
  readonly registration_endpoint?: string
  readonly revocation_endpoint?: string
  readonly introspection_endpoint?: string
  readonly pushed_authorization_request_endpoint?: string
  readonly require_pushed_authorization_requests?: boolean
  readonly device_authorization_endpoint?: string
  readonly scopes_supported?: readonly string[]
  readonly response_types_supported?: readonly string[]
  readonly grant_types_supported?: readonly string[]
  readonly token_endpoint_auth_methods_supported?: readonly string[]
  readonly token_endpoint_auth_signing_alg_values_supported?: readonly string[]
  readonly revocation_endpoint_auth_methods_supported?: readonly string[]
  readonly code_challenge_methods_supported?: readonly string[]
  readonly client_id_metadata_document_supported?: boolean
  readonly authorization_response_iss_parameter_supported?: boolean
  readonly dpop_signing_alg_values_supported?: readonly string[]
  readonly mtls_endpoint_aliases?: Readonly<Record<string, string>>
  readonly [member: string]: unknown
}

/** Levels of nesting; a document is stored, and what writes it is recursive. */
const deepestDocument = 32

const texts = lenient(list)
const line = lenient(text)
const flag = lenient(z.boolean())

const protectedResource = z.looseObject({
  resource: text,
  authorization_servers: list.check(z.minLength(1)),
  scopes_supported: texts,
  bearer_methods_supported: texts,
  resource_name: line,
  dpop_bound_access_tokens_required: flag,
  dpop_signing_alg_values_supported: texts,
})

const authorizationServer = z.looseObject({
  issuer: text,
  token_endpoint: text,
  authorization_endpoint: line,
  registration_endpoint: line,
  revocation_endpoint: line,
  introspection_endpoint: line,
  pushed_authorization_request_endpoint: line,
  require_pushed_authorization_requests: flag,
  device_authorization_endpoint: line,
  scopes_supported: texts,
  response_types_supported: texts,
  grant_types_supported: texts,
  token_endpoint_auth_methods_supported: texts,
  token_endpoint_auth_signing_alg_values_supported: texts,
  revocation_endpoint_auth_methods_supported: texts,
  code_challenge_methods_supported: texts,
  client_id_metadata_document_supported: flag,
  authorization_response_iss_parameter_supported: flag,
  dpop_signing_alg_values_supported: texts,
  mtls_endpoint_aliases: lenient(dictionary),
})

/**
 * Reads protected-resource metadata that was found at `location`. Throws `OAUTH_METADATA_INVALID`, naming the member,
 * without a `resource` or without a single authorization server; the resource itself never takes that server's place.
 */
export function parseProtectedResourceMetadata(document: JsonObject, location: string): ProtectedResourceMetadata {
  return parseDocument(document, {
    schema: protectedResource,
    what: 'protected-resource metadata',
    location,
  }) as ProtectedResourceMetadata
}

/**
 * Reads authorization-server metadata, in the OAuth or the OpenID shape, that was found at `location`. Throws
 * `OAUTH_METADATA_INVALID`, naming the member, without `issuer` or `token_endpoint`; nothing else is required.
 */
export function parseAuthorizationServerMetadata(document: JsonObject, location: string): AuthorizationServerMetadata {
  return parseDocument(document, {
    schema: authorizationServer,
    what: 'authorization-server metadata',
    location,
  }) as AuthorizationServerMetadata
}

interface DocumentKind {
  readonly schema: typeof protectedResource | typeof authorizationServer
  readonly what: string
  readonly location: string
}

function parseDocument(document: JsonObject, { schema, what, location }: DocumentKind): Record<string, unknown> {
  const refuse = (reason: string): OAuthDiscoveryError =>
    new OAuthDiscoveryError(`The ${what} of ${endpointOf(location) ?? location} cannot be used: ${reason}.`, {
      code: 'OAUTH_METADATA_INVALID',
      endpoint: location,
    })
  if (isDeeperThan(document, deepestDocument)) throw refuse(`it is nested deeper than ${deepestDocument} levels`)
  const { data, error } = schema.safeParse(document)
  if (error !== undefined)
    throw refuse(`\`${String(error.issues[0]?.path[0])}\` is missing, empty or of the wrong type`)
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value != null))
}

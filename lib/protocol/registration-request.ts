import { OAuthRegistrationError, quote } from '../errors'
import { applicationType, definedMembers, type ClientMetadata } from './client-metadata'
import type { AuthorizationServerMetadata } from './metadata'
import { unionScope } from './scope'

/** The body of a registration request (RFC 7591 §3.1) and what it leaves out. */
export interface ReducedRegistration {
  readonly request: Record<string, unknown>
  /** Names of the members that were dropped or shortened. */
  readonly dropped: readonly string[]
}

/**
 * Makes the body of a registration request: what the flow needs, and of the rest only what is configured. Configured
 * members are sent unchanged, except that the selected scope is added to a configured one. Throws
 * `OAUTH_REGISTRATION_FAILED` when the server lists no authentication method that a newly registered client could use.
 */
export function buildRegistration(o: {
  readonly clientMetadata: ClientMetadata
  readonly redirectUris: readonly string[]
  readonly scope?: string | undefined
  readonly server: AuthorizationServerMetadata
  /** Whether a person signs in, so that the authorization code grant is what the client needs. */
  readonly interactive: boolean
}): Record<string, unknown> {
  const { clientMetadata, server } = o
  const redirectUris = o.redirectUris.length > 0 ? o.redirectUris : (clientMetadata.redirect_uris ?? [])
  return definedMembers({
    ...(o.interactive && {
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: applicationType(redirectUris),
    }),
    ...definedMembers(clientMetadata),
    redirect_uris: redirectUris.length > 0 ? [...redirectUris] : undefined,
    scope: unionScope(clientMetadata.scope, o.scope),
    token_endpoint_auth_method:
      clientMetadata.token_endpoint_auth_method ?? methodToRegister(server, applicationType(redirectUris)),
  })
}

/**
 * The one reduced registration to try after the server refused the full one (RFC 7591 §3.2.2); undefined when the error
 * is not about the metadata or there is nothing to leave out.
 */
export function reduceRegistration(
  request: Readonly<Record<string, unknown>>,
  oauthError: string,
): ReducedRegistration | undefined {
  switch (oauthError) {
    case 'invalid_scope':
      return without(request, ['scope'])
    case 'invalid_redirect_uri':
      return withFirstRedirectUri(request) ?? without(request, ['application_type'])
    case 'invalid_client_metadata':
      return keeping(request, [...essential, ...defaulted]) ?? keeping(request, essential)
    default:
      return undefined
  }
}

const essential = ['redirect_uris', 'client_name', 'token_endpoint_auth_method']
/** What the server assumes by itself when they are missing, though not always what we need. */
const defaulted = ['grant_types', 'response_types', 'application_type']

/**
 * An application on the user's machine keeps no secret (RFC 8252 §8.5) and asks for none; a web application asks for
 * one where it can. Without a list the server decides, and its answer says how.
 */
function methodToRegister(server: AuthorizationServerMetadata, type: 'native' | 'web'): string | undefined {
  const listed = server.token_endpoint_auth_methods_supported
  if (listed === undefined) return undefined
  const withSecret = ['client_secret_basic', 'client_secret_post']
  const preferred = type === 'native' ? ['none', ...withSecret] : [...withSecret, 'none']
  const method = preferred.find((name) => listed.includes(name))
  if (method !== undefined) return method
  throw new OAuthRegistrationError(
    `A client cannot be registered at ${quote(server.issuer)}: of its authentication methods ${quote(listed.join(', '))} none can be used without preparation.`,
    {
      code: 'OAUTH_REGISTRATION_FAILED',
      endpoint: server.registration_endpoint,
      hint: 'Register the client beforehand and configure `clientInformation` with its key.',
    },
  )
}

function withFirstRedirectUri(request: Readonly<Record<string, unknown>>): ReducedRegistration | undefined {
  const uris: unknown = request.redirect_uris
  if (!Array.isArray(uris) || uris.length < 2) return undefined
  return { request: { ...request, redirect_uris: uris.slice(0, 1) }, dropped: ['redirect_uris'] }
}

function keeping(
  request: Readonly<Record<string, unknown>>,
  names: readonly string[],
): ReducedRegistration | undefined {
  return without(
    request,
    Object.keys(request).filter((name) => !names.includes(name)),
  )
}

function without(
  request: Readonly<Record<string, unknown>>,
  names: readonly string[],
): ReducedRegistration | undefined {
  const dropped = names.filter((name) => Object.hasOwn(request, name))
  if (dropped.length === 0) return undefined
  const kept = Object.entries(request).filter(([name]) => !dropped.includes(name))
  return { request: Object.fromEntries(kept), dropped }
}

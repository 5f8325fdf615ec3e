import { OAuthRegistrationError, quote } from '../errors'
import type { AuthorizationServerMetadata } from './metadata'

/** What a client has to authenticate with. */
export interface AuthenticatingClient {
  readonly client_id: string
  readonly client_secret?: string | undefined
  /** The method it was registered with. */
  readonly token_endpoint_auth_method?: string | undefined
  /** Whether it holds a private key, or something that signs for it. */
  readonly hasKey: boolean
}

/** The strongest first. */
const methods = ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'none']

/** Never chosen from a list: whether the connection shows a certificate is known to the user only (RFC 8705 §2). */
const certificateMethods = ['tls_client_auth', 'self_signed_tls_client_auth']

/** Whether a method authenticates by the certificate of the TLS connection. */
export function isCertificateMethod(method: string | undefined): boolean {
  return method !== undefined && certificateMethods.includes(method)
}

/**
 * Chooses how a client authenticates at the token endpoint: the method of its registration, even where the metadata
 * does not list it (RFC 7591 §2); else the strongest usable one that the server lists (RFC 8414 §2); without a list
 * Basic with a secret, a signed assertion with a key, and `none` with neither. Throws `OAUTH_REGISTRATION_FAILED`
 * before anything is sent when that cannot be done: there is no downgrade to another method.
 */
export function chooseAuthenticationMethod(o: {
  readonly client: AuthenticatingClient
  readonly server: AuthorizationServerMetadata
}): string {
  const registered = o.client.token_endpoint_auth_method
  if (registered !== undefined) {
    if (isUsable(registered, o.client)) return registered
    throw refusal(o, `it is registered for ${quote(registered)}, ${lackOf(registered)}`)
  }
  const listed = o.server.token_endpoint_auth_methods_supported
  const usable = methods.filter((method) => isUsable(method, o.client))
  if (listed === undefined) return usable.find((method) => method === 'client_secret_basic') ?? usable[0] ?? 'none'
  const chosen = usable.find((method) => listed.includes(method))
  if (chosen !== undefined) return chosen
  throw refusal(o, `the server accepts only ${quote(listed.join(', '))} and the client can do ${usable.join(', ')}`)
}

function isUsable(method: string, { client_secret: secret, hasKey }: AuthenticatingClient): boolean {
  if (method === 'private_key_jwt') return hasKey
  if (isCertificateMethod(method)) return true
  return method === 'none' || (methods.includes(method) && secret !== undefined && secret !== '')
}

function lackOf(method: string): string {
  if (!methods.includes(method)) return 'which this library cannot do'
  return method === 'private_key_jwt' ? 'and has no private key' : 'and has no secret'
}

function refusal(
  { client, server }: { readonly client: AuthenticatingClient; readonly server: AuthorizationServerMetadata },
  reason: string,
): OAuthRegistrationError {
  return new OAuthRegistrationError(
    `The client ${quote(client.client_id)} cannot authenticate at ${quote(server.issuer)}: ${reason}.`,
    {
      code: 'OAUTH_REGISTRATION_FAILED',
      endpoint: server.token_endpoint,
      hint: 'Set `client_secret`, or `private_key` and `token_endpoint_auth_method`, of the option `clientInformation` to what the server accepts.',
    },
  )
}

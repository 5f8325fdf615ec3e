import { hasClientKey } from './client-key'
import type { OAuthOptions } from '../options'
import type { ClientAuthentication } from './client-authentication'
import { clientSecretBasic, clientSecretBasicRaw } from './client-secret-basic'
import { clientSecretPost } from './client-secret-post'
import { mutualTls } from './mutual-tls'
import { none } from './none'
import { privateKeyJwt } from './private-key-jwt'

/**
 * The methods that a client can use, by their registered names (RFC 7591 §2, RFC 8705 §2); `private_key_jwt` is among
 * them where a key is configured. Throws a TypeError for a key that cannot sign.
 */
export function clientAuthentications({
  clientInformation,
  clientKey,
}: Pick<OAuthOptions, 'clientInformation' | 'clientKey'>): Readonly<Record<string, ClientAuthentication>> {
  const key = clientKey ?? clientInformation
  return {
    none,
    client_secret_basic: clientInformation?.basic_encoding === 'raw' ? clientSecretBasicRaw : clientSecretBasic,
    client_secret_post: clientSecretPost,
    tls_client_auth: mutualTls,
    self_signed_tls_client_auth: mutualTls,
    ...(hasClientKey(key) ? { private_key_jwt: privateKeyJwt(key) } : {}),
  }
}

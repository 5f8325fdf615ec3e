import { clientSecretBasic, clientSecretBasicRaw } from './client-secret-basic'
import { clientSecretPost } from './client-secret-post'
import type { ClientAuthentication } from './client-authentication'
import { none } from './none'

/** The methods by their registered names (RFC 7591 §2). */
export const clientAuthentications: Readonly<Record<string, ClientAuthentication>> = {
  none,
  client_secret_basic: clientSecretBasic,
  client_secret_post: clientSecretPost,
}

export { clientSecretBasicRaw }

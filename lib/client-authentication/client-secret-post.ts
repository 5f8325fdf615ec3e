import type { ClientAuthentication } from './client-authentication'

/** Id and secret in the body (RFC 6749 §2.3.1). */
export const clientSecretPost: ClientAuthentication = (request, { client }) => {
  request.body.set('client_id', client.client_id)
  if (client.client_secret !== undefined && client.client_secret !== '') {
    request.body.set('client_secret', client.client_secret)
  }
}

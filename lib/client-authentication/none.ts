import type { ClientAuthentication } from './client-authentication'

/** A public client names itself and proves nothing (RFC 6749 §3.2.1). */
export const none: ClientAuthentication = (request, { client }) => {
  request.body.set('client_id', client.client_id)
}

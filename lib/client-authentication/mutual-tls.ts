import type { ClientAuthentication } from './client-authentication'

/**
 * The certificate of the TLS connection is the proof (RFC 8705 §2): it comes from the `httpsAgent` of the attached axios
 * instance. RFC 8705 §2: "the client MUST include the `client_id` parameter" in every request.
 */
export const mutualTls: ClientAuthentication = (request, { client }) => {
  request.body.set('client_id', client.client_id)
}

import type { ClientAuthentication } from './client-authentication'

/**
 * HTTP Basic with id and secret form-encoded first (RFC 6749 §2.3.1): "the client identifier is encoded using the
 * application/x-www-form-urlencoded encoding algorithm per Appendix B, and the encoded value is used as the username".
 */
export const clientSecretBasic: ClientAuthentication = (request, { client }) => {
  request.headers.Authorization = `Basic ${btoa(`${formEncode(client.client_id)}:${formEncode(client.client_secret ?? '')}`)}`
}

/** Basic without the form encoding, for the servers that compare the raw text; limited to what UTF-8 can carry. */
export const clientSecretBasicRaw: ClientAuthentication = (request, { client }) => {
  const bytes = new TextEncoder().encode(`${client.client_id}:${client.client_secret ?? ''}`)
  request.headers.Authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`
}

function formEncode(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1)
}

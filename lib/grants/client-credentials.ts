import type { SilentGrant } from './grant'

/** The client's own credentials are the grant (RFC 6749 §4.4): machines that act for themselves. */
export function clientCredentials(): SilentGrant {
  return {
    kind: 'silent',
    name: 'client_credentials',
    parameters: () => ({ grant_type: 'client_credentials' }),
  }
}

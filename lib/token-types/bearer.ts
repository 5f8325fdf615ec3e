import type { TokenType } from './token-type'

/** The token alone is the proof (RFC 6750 §2.1): `Authorization: Bearer <token>`. */
export const bearer: TokenType = {
  followsRedirects: true,
  present: (config, tokens) => {
    config.headers.Authorization = `Bearer ${tokens.access_token}`
  },
  withdraw: (config) => {
    delete config.headers.Authorization
  },
}

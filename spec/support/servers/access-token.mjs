import { createHash, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, createRemoteJWKSet, EmbeddedJWK, errors, jwtVerify } from 'jose'

/** A refusal that belongs into a challenge. */
export class Refusal extends Error {
  constructor(status, error, description) {
    super(description ?? error)
    this.status = status
    this.error = error
  }
}

/** Reads the metadata of the authorization server: RFC 8414 first, then OpenID Connect. */
export async function fetchAuthorizationServerMetadata(issuer) {
  const { origin, pathname } = new URL(issuer)
  const path = pathname === '/' ? '' : pathname
  const candidates = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/oauth-authorization-server`,
  ]
  for (const url of candidates) {
    const response = await fetch(url)
    if (response.ok) return response.json()
  }
  throw new Error(`no metadata at ${issuer}`)
}

/** Checks JWT access tokens (RFC 9068) of one issuer for one audience. */
export function accessTokenVerifier({ issuer, jwksUri, audience }) {
  const keys = createRemoteJWKSet(new URL(jwksUri))
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        typ: 'at+jwt',
        requiredClaims: ['exp', 'iat'],
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new Refusal(401, 'invalid_token', 'the token has expired')
      if (error instanceof errors.JWTClaimValidationFailed) {
        throw new Refusal(401, 'invalid_token', `the ${error.claim} of the token is wrong`)
      }
      throw new Refusal(401, 'invalid_token', 'the token cannot be verified')
    }
  }
}

/** Checks DPoP proofs (RFC 9449 §4.3), each once; with `nonces`, each must carry the nonce handed out last. */
export function proofVerifier({ nonces }) {
  const seen = new Set()
  let nonce = nonces ? randomBytes(12).toString('base64url') : undefined

  async function verify({ proof, method, url, token, thumbprint }) {
    if (proof === undefined) throw new Refusal(401, 'invalid_dpop_proof', 'there is no proof')
    let payload, protectedHeader
    try {
      ;({ payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 }))
    } catch {
      throw new Refusal(401, 'invalid_dpop_proof', 'the proof cannot be verified')
    }
    const wrong = [
      [payload.htm === method, 'htm'],
      [payload.htu === url, 'htu'],
      [payload.ath === createHash('sha256').update(token).digest('base64url'), 'ath'],
      [(await calculateJwkThumbprint(protectedHeader.jwk)) === thumbprint, 'key'],
      [typeof payload.jti === 'string' && !seen.has(payload.jti), 'jti'],
    ].find(([right]) => !right)
    if (wrong) throw new Refusal(401, 'invalid_dpop_proof', `the ${wrong[1]} of the proof is wrong`)
    if (nonce !== undefined && payload.nonce !== nonce) {
      throw new Refusal(401, 'use_dpop_nonce', 'the proof needs the nonce of this response')
    }
    seen.add(payload.jti)
  }
  return { verify, nonce: () => nonce, renewNonce: () => (nonce = randomBytes(12).toString('base64url')) }
}

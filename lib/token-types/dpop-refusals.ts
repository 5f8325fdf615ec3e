import { OAuthFlowError, OAuthTokenError } from '../errors'
import type { HttpResponse } from '../http'
import { readNonce } from '../protocol/dpop'
import { parseJsonObject } from '../protocol/json'
import { readTokenError } from '../protocol/token'

/** What an authorization server says about the proof of a request, and not about the grant in it. */
export interface ProofRefusal {
  readonly error: 'use_dpop_nonce' | 'invalid_dpop_proof'
  /** Whether the response hands out a nonce that can be used. */
  readonly hasNonce: boolean
}

/** Reads whether a response refuses the proof (RFC 9449 §5 and §8). */
export function proofRefusalOf(response: HttpResponse): ProofRefusal | undefined {
  if (response.status !== 400 && response.status !== 401) return undefined
  const error = readTokenError(parseJsonObject(response.body))?.error
  if (error !== 'use_dpop_nonce' && error !== 'invalid_dpop_proof') return undefined
  return { error, hasNonce: readNonce(response.header('dpop-nonce')) !== undefined }
}

/** The error of an authorization server that goes on asking for a nonce. */
export function nonceRefusedBy({ url, status }: HttpResponse, hasNonce: boolean): OAuthTokenError {
  return new OAuthTokenError(`The authorization server ${new URL(url).host} ${wayOfRefusing(hasNonce)}.`, {
    code: 'OAUTH_DPOP_NONCE',
    endpoint: url,
    status,
    oauthError: 'use_dpop_nonce',
    hint,
  })
}

/** The same of a resource. */
export function nonceRefusedAt(url: string, hasNonce: boolean): OAuthFlowError {
  const message = `The resource ${wayOfRefusing(hasNonce)}.`
  return new OAuthFlowError(message, { code: 'OAUTH_DPOP_NONCE', endpoint: url, status: 401, hint })
}

const hint =
  'The server, or a proxy before it, must send `DPoP-Nonce` with the refusal and accept it (RFC 9449 §8, §9).'

function wayOfRefusing(hasNonce: boolean): string {
  return hasNonce
    ? 'refuses its own DPoP nonce and asks for another'
    : 'asks for a DPoP nonce and hands out none that can be used'
}

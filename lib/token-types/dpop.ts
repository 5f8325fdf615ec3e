import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios'
import { OAuthFlowError } from '../errors'
import type { Refusal } from '../need'
import { readNonce } from '../protocol/dpop'
import { proofHint } from '../protocol/refusal-hint'
import type { Settings } from '../settings'
import type { TokenSet } from '../storage/record'
import type { DpopKeys } from './dpop-keys'
import { DpopProofs } from './dpop-proofs'
import { nonceRefusedAt } from './dpop-refusals'
import { headerOf, type PresentationFault, type TokenType } from './token-type'

/**
 * A token bound to a key: `Authorization: DPoP <token>` with a proof in `DPoP` (RFC 9449 §7.1), made anew for every
 * sending. Redirects are not followed: HTTP clients take `Authorization` off there, but not `DPoP`, and the proof would be
 * for another URL.
 */
export class DpopTokenType implements TokenType {
  readonly followsRedirects = false
  readonly #keys: DpopKeys
  readonly #proofs: DpopProofs
  readonly #now: () => number
  readonly #urlOf: (config: InternalAxiosRequestConfig) => string | undefined

  /** `urlOf`: the URL that a request is sent to, after base URL and all interceptors. */
  constructor(o: {
    keys: DpopKeys
    settings: Pick<Settings, 'now' | 'clockTolerance' | 'random'>
    urlOf: (config: InternalAxiosRequestConfig) => string | undefined
  }) {
    this.#keys = o.keys
    this.#proofs = new DpopProofs(o.settings)
    this.#now = o.settings.now
    this.#urlOf = o.urlOf
  }

  async present(config: InternalAxiosRequestConfig, tokens: TokenSet): Promise<void> {
    const url = this.#urlOf(config)
    const key = this.#keys.at(tokens.dpop?.jkt)
    if (key === undefined || url === undefined) throw keyIsGone(url)
    const { access_token: accessToken } = tokens
    const proof = await this.#proofs.make(key, { method: config.method ?? 'GET', url, accessToken })
    config.headers.set('Authorization', `DPoP ${accessToken}`)
    config.headers.set('DPoP', proof)
  }

  withdraw(config: InternalAxiosRequestConfig): void {
    config.headers.delete('Authorization')
    config.headers.delete('DPoP')
  }

  /** RFC 9449 §8.2: a nonce may come with any response, a success included. */
  note(config: InternalAxiosRequestConfig, response: AxiosResponse): void {
    const url = this.#urlOf(config)
    if (url !== undefined) this.#proofs.note(url, headerOf(response, 'dpop-nonce'))
  }

  /** RFC 9449 §9 and §7.1: `use_dpop_nonce` and `invalid_dpop_proof` are about the proof; the token may be good. */
  faultOf(response: AxiosResponse, refusal: Refusal | undefined): PresentationFault | undefined {
    if (refusal === undefined || response.status !== 401) return undefined
    const { url } = refusal
    if (refusal.dpopErrors) {
      const hasNonce = readNonce(headerOf(response, 'dpop-nonce')) !== undefined
      return { remedy: hasNonce ? 'present-again' : 'reject', reason: nonceRefusedAt(url, hasNonce) }
    }
    if (refusal.error !== 'invalid_dpop_proof') return undefined
    const date = headerOf(response, 'date')
    const hint = proofHint({ date: typeof date === 'string' ? date : undefined, now: this.#now() })
    return { remedy: 'give-back', reason: proofRefused(url, hint) }
  }
}

function keyIsGone(url: string | undefined): OAuthFlowError {
  return new OAuthFlowError('The access token is bound to a DPoP key that is not here.', {
    code: 'OAUTH_DPOP_UNSUPPORTED',
    endpoint: url,
    hint: 'Another process shares the session: give all of them the same `dpop.keyPair`.',
  })
}

function proofRefused(url: string, hint: string): OAuthFlowError {
  return new OAuthFlowError('The resource refuses the DPoP proof of the request.', {
    code: 'OAUTH_DPOP_UNSUPPORTED',
    endpoint: url,
    status: 401,
    hint,
  })
}

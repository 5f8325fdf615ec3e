import type { AuthenticatedRequest } from './client-authentication/client-authentication'
import { ClientAuthenticator } from './client-authentication/client-authenticator'
import type { OAuthContext } from './context'
import { metadataOf } from './metadata/discovered-server'
import { retryAfterOf, type HttpResponse } from './http'
import { computeLifetime, parseExpiresIn } from './protocol/lifetime'
import { clientHint, proofHint, refusalHint } from './protocol/refusal-hint'
import { checkGranted } from './protocol/scope'
import { parseTokenResponse, type TokenResponse } from './protocol/token'
import type { DiscoveredServer, GrantRecord, KnownClient, TokenSet } from './storage/record'
import type { DpopKey } from './token-types/dpop-key'
import { DpopKeys } from './token-types/dpop-keys'
import { DpopProofs } from './token-types/dpop-proofs'
import { nonceRefusedBy, proofRefusalOf } from './token-types/dpop-refusals'

export interface TokenRequest {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  /** The members of the grant, `grant_type` among them. */
  readonly parameters: Readonly<Record<string, string>>
  /** What the response's tokens are granted when it names no scope. */
  readonly requestedScope?: string | undefined
  /** The kind of token that a token exchange must answer with (RFC 8693 §2.2.1). */
  readonly issuedTokenType?: string | undefined
  /** Thumbprint of the DPoP key that the grant is bound to. */
  readonly boundTo?: string | undefined
  /** Milliseconds for the answer; at most the configured deadline. */
  readonly within?: number
}

/** A request to the authorization server with the client's authentication, and a proof where there is a key. */
type AuthenticatedPost = Pick<TokenRequest, 'server' | 'client' | 'within'> & {
  readonly proofKey?: DpopKey | undefined
}

/** An answer, and the form it is to. */
interface Sent {
  readonly response: HttpResponse
  readonly sent: URLSearchParams
  /** Its headers, in which client and key have proved who they are. */
  readonly headers: Readonly<Record<string, string>>
}

/** Members of a token request that are secrets and must not come back in a quoted answer. */
const secretMembers = [
  'code',
  'code_verifier',
  'refresh_token',
  'assertion',
  'subject_token',
  'actor_token',
  'device_code',
  'client_secret',
  'client_assertion',
]

/** Presents grants at the token endpoint (RFC 6749 §3.2) with the client's authentication. */
export class TokenEndpoint {
  readonly #context: OAuthContext
  readonly #authenticator: ClientAuthenticator
  readonly #proofs: DpopProofs
  /** The keys that tokens are bound to. */
  readonly dpop: DpopKeys

  constructor(context: OAuthContext) {
    this.dpop = new DpopKeys(context.settings)
    this.#proofs = new DpopProofs(context.settings)
    this.#context = context
    this.#authenticator = new ClientAuthenticator(context.settings)
  }

  /**
   * Sends one token request, once, and gives the tokens with absolute times. Throws an `OAuthTokenError`:
   * `OAUTH_TOKEN_ENDPOINT_ERROR` with the server's `oauthError`, `OAUTH_TOKEN_INVALID`, or a retryable `OAUTH_TEMPORARY`;
   * for a grant beyond the ceiling an `OAuthScopeError`.
   */
  async request(request: TokenRequest): Promise<TokenSet> {
    const { tokenParams, transformTokenResponse, scopeCeiling, now, random } = this.#context.settings
    const { resourceParameter, issuer } = request.server
    const sentAt = now()
    const resource = resourceParameter === undefined ? {} : { resource: resourceParameter }
    const parameters = { ...tokenParams, ...request.parameters, ...resource }
    const proofKey = await this.dpop.keyFor(request.server, request.boundTo)
    const url = metadataOf(request.server).token_endpoint
    const { response, sent, headers } = await this.#send(url, { ...request, proofKey }, parameters)
    const date = response.header('date')
    const tokens = parseTokenResponse({
      status: response.status,
      ...contentType(response),
      body: response.body,
      endpoint: response.url,
      proofSent: proofKey !== undefined,
      dpopRequired: this.dpop.isRequired(request.server),
      ...(transformTokenResponse === undefined ? {} : { transform: transformTokenResponse }),
      issuedTokenType: request.issuedTokenType,
      secrets: this.#secrets(request.client, sent, headers),
      hint: proofRefusalOf(response)
        ? proofHint({ date, now: now() })
        : refusalHint({ sent, issuer, date, now: now() }),
      clientHint: clientHint(request.client.source),
      retryAfter: retryAfterOf(response, now()),
    })
    const [jitterByte = 0] = random(1)
    const { requestedScope } = request
    checkGranted(tokens.scope ?? requestedScope, scopeCeiling)
    return tokenSet(tokens, { sentAt, jitter: jitterByte / 256, requestedScope, jkt: proofKey?.jkt })
  }

  /**
   * Whether the client may present the refresh token of a grant with the keys that are here. RFC 9449 §5: that of a public
   * client is bound to its key, that of another to the client's own authentication. Throws `OAUTH_DPOP_UNSUPPORTED` when the
   * configured key has been replaced.
   */
  mayPresent({ tokens, client, server }: GrantRecord): boolean {
    if (tokens === undefined || !this.dpop.isElsewhere(tokens)) return true
    if (!this.#authenticator.isPublic(client, server)) return true
    this.dpop.refuseChange(server)
    return false
  }

  /** Posts a form with the client's authentication: token, revocation and pushed authorization requests alike. */
  async post(url: string, o: AuthenticatedPost, parameters: Readonly<Record<string, string>>): Promise<HttpResponse> {
    return (await this.#send(url, o, parameters)).response
  }

  /** RFC 9449 §8: repeats the request once with the nonce of the refusal; proof and assertion are made anew. */
  async #send(url: string, o: AuthenticatedPost, parameters: Readonly<Record<string, string>>): Promise<Sent> {
    const first = await this.#sendOnce(url, o, parameters)
    const refusal = o.proofKey && proofRefusalOf(first.response)
    if (refusal?.error !== 'use_dpop_nonce') return first
    if (!refusal.hasNonce) throw nonceRefusedBy(first.response, false)
    const second = await this.#sendOnce(url, o, parameters)
    if (proofRefusalOf(second.response)?.error === 'use_dpop_nonce') throw nonceRefusedBy(second.response, true)
    return second
  }

  async #sendOnce(url: string, o: AuthenticatedPost, parameters: Readonly<Record<string, string>>): Promise<Sent> {
    const body = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''))
    const request: AuthenticatedRequest = { url, headers: { Accept: 'application/json' }, body }
    await this.#authenticator.authenticate(request, o.server, o.client)
    if (o.proofKey !== undefined) request.headers.DPoP = await this.#proofs.make(o.proofKey, { method: 'POST', url })
    const response = await this.#context.http.send({
      phase: 'token',
      method: 'POST',
      url,
      headers: { ...request.headers, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: request.body.toString(),
      ...(o.within === undefined ? {} : { within: o.within }),
    })
    this.#proofs.note(url, response.header('dpop-nonce'))
    return { response, sent: request.body, headers: request.headers }
  }

  #secrets(client: KnownClient, sent: URLSearchParams, headers: Sent['headers']): readonly string[] {
    const members = secretMembers.map((name) => sent.get(name))
    const credentials = headers.Authorization?.replace(/^\S+ /, '')
    return [this.#authenticator.secretOf(client), credentials, headers.DPoP, ...members].filter(isText)
  }
}

function isText(value: string | null | undefined): value is string {
  return value != null && value !== ''
}

function contentType(response: HttpResponse): { contentType?: string } {
  const value = response.header('content-type')
  return value === undefined ? {} : { contentType: value }
}

/** The response with absolute times. */
function tokenSet(
  tokens: TokenResponse,
  o: { sentAt: number; jitter: number; requestedScope: string | undefined; jkt: string | undefined },
): TokenSet {
  const { access_token, token_type, refresh_token, id_token, expires_in, issued_token_type: _, ...others } = tokens
  const { scope = o.requestedScope, ...extra } = others
  const expiresIn = parseExpiresIn(expires_in)
  return {
    access_token,
    token_type: token_type === 'DPoP' ? 'DPoP' : 'Bearer',
    ...(refresh_token === undefined ? {} : { refresh_token }),
    ...(id_token === undefined ? {} : { id_token }),
    ...(scope === undefined ? {} : { scope }),
    ...(o.jkt === undefined ? {} : { dpop: { jkt: o.jkt } }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    issuedAt: o.sentAt,
    ...computeLifetime({ sentAt: o.sentAt, ...(expiresIn === undefined ? {} : { expiresIn }), jitter: o.jitter }),
  }
}

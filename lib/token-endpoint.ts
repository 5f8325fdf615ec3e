import type { AuthenticatedRequest } from './client-authentication/client-authentication'
import { ClientAuthenticator } from './client-authenticator'
import type { OAuthContext } from './context'
import { metadataOf } from './discovered-server'
import { retryAfterOf, type HttpResponse } from './http'
import { computeLifetime, parseExpiresIn } from './protocol/lifetime'
import { refusalHint } from './protocol/refusal-hint'
import { parseTokenResponse, type TokenResponse } from './protocol/token'
import type { DiscoveredServer, KnownClient, TokenSet } from './storage/record'

export interface TokenRequest {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  /** The members of the grant, `grant_type` among them. */
  readonly parameters: Readonly<Record<string, string>>
  /** What the response's tokens are granted when it names no scope. */
  readonly requestedScope?: string | undefined
  /** The kind of token that a token exchange must answer with (RFC 8693 §2.2.1). */
  readonly issuedTokenType?: string | undefined
  /** Milliseconds for the answer; at most the configured deadline. */
  readonly within?: number
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

  constructor(context: OAuthContext) {
    this.#context = context
    this.#authenticator = new ClientAuthenticator(context.settings)
  }

  /**
   * Sends one token request, once, and gives the tokens with absolute times. Throws an `OAuthTokenError`:
   * `OAUTH_TOKEN_ENDPOINT_ERROR` with the server's `oauthError`, `OAUTH_TOKEN_INVALID`, or a retryable `OAUTH_TEMPORARY`.
   */
  async request(request: TokenRequest): Promise<TokenSet> {
    const { tokenParams, transformTokenResponse, now, random } = this.#context.settings
    const { resourceParameter, issuer } = request.server
    const sentAt = now()
    const resource = resourceParameter === undefined ? {} : { resource: resourceParameter }
    const parameters = { ...tokenParams, ...request.parameters, ...resource }
    const { response, sent } = await this.#send(metadataOf(request.server).token_endpoint, request, parameters)
    const tokens = parseTokenResponse({
      status: response.status,
      ...contentType(response),
      body: response.body,
      endpoint: response.url,
      proofSent: false,
      dpopRequired: false,
      ...(transformTokenResponse === undefined ? {} : { transform: transformTokenResponse }),
      issuedTokenType: request.issuedTokenType,
      secrets: this.#secrets(request.client, sent),
      hint: refusalHint({ sent, issuer, date: response.header('date'), now: now() }),
      retryAfter: retryAfterOf(response, now()),
    })
    const [jitterByte = 0] = random(1)
    return tokenSet(tokens, { sentAt, jitter: jitterByte / 256, requestedScope: request.requestedScope })
  }

  /** Posts a form with the client's authentication: token, revocation and pushed authorization requests alike. */
  async post(
    url: string,
    o: Pick<TokenRequest, 'server' | 'client' | 'within'>,
    parameters: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    return (await this.#send(url, o, parameters)).response
  }

  async #send(
    url: string,
    o: Pick<TokenRequest, 'server' | 'client' | 'within'>,
    parameters: Readonly<Record<string, string>>,
  ): Promise<{ readonly response: HttpResponse; readonly sent: URLSearchParams }> {
    const body = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''))
    const request: AuthenticatedRequest = { url, headers: { Accept: 'application/json' }, body }
    await this.#authenticator.authenticate(request, o.server, o.client)
    const response = await this.#context.http.send({
      phase: 'token',
      method: 'POST',
      url,
      headers: { ...request.headers, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: request.body.toString(),
      ...(o.within === undefined ? {} : { within: o.within }),
    })
    return { response, sent: request.body }
  }

  #secrets(client: KnownClient, sent: URLSearchParams): readonly string[] {
    const members = secretMembers.map((name) => sent.get(name))
    return [this.#authenticator.secretOf(client), ...members].filter(isText)
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
  o: { sentAt: number; jitter: number; requestedScope: string | undefined },
): TokenSet {
  const { access_token, token_type, refresh_token, id_token } = tokens
  const expiresIn = parseExpiresIn(tokens.expires_in)
  const scope = tokens.scope ?? o.requestedScope
  return {
    access_token,
    token_type: token_type === 'DPoP' ? 'DPoP' : 'Bearer',
    ...(refresh_token === undefined ? {} : { refresh_token }),
    ...(id_token === undefined ? {} : { id_token }),
    ...(scope === undefined ? {} : { scope }),
    issuedAt: o.sentAt,
    ...computeLifetime({ sentAt: o.sentAt, ...(expiresIn === undefined ? {} : { expiresIn }), jitter: o.jitter }),
  }
}

import { clientAuthentications, clientSecretBasicRaw } from './client-authentication'
import type { AuthenticatedRequest, ClientAuthentication } from './client-authentication/client-authentication'
import type { OAuthContext } from './context'
import { withDeadline } from './deadline'
import { metadataOf } from './discovered-server'
import { OAuthRegistrationError, quote } from './errors'
import { retryAfterOf, type HttpResponse } from './http'
import { computeLifetime, parseExpiresIn } from './protocol/lifetime'
import { chooseAuthenticationMethod } from './protocol/registration'
import { parseTokenResponse, type TokenResponse } from './protocol/token'
import type { DiscoveredServer, KnownClient, TokenSet } from './storage/record'

export interface TokenRequest {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  /** The members of the grant, `grant_type` among them. */
  readonly parameters: Readonly<Record<string, string>>
  /** What the response's tokens are granted when it names no scope. */
  readonly requestedScope?: string | undefined
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
  'client_secret',
  'client_assertion',
]

/** Presents grants at the token endpoint (RFC 6749 §3.2) with the client's authentication. */
export class TokenEndpoint {
  readonly #context: OAuthContext

  constructor(context: OAuthContext) {
    this.#context = context
  }

  /**
   * Sends one token request, once, and gives the tokens with absolute times. Throws an `OAuthTokenError`:
   * `OAUTH_TOKEN_ENDPOINT_ERROR` with the server's `oauthError`, `OAUTH_TOKEN_INVALID`, or a retryable `OAUTH_TEMPORARY`.
   */
  async request(request: TokenRequest): Promise<TokenSet> {
    const { tokenParams, transformTokenResponse, now, random } = this.#context.settings
    const { resourceParameter } = request.server
    const sentAt = now()
    const resource = resourceParameter === undefined ? {} : { resource: resourceParameter }
    const parameters = { ...tokenParams, ...request.parameters, ...resource }
    const response = await this.post(metadataOf(request.server).token_endpoint, request, parameters)
    const tokens = parseTokenResponse({
      status: response.status,
      ...contentType(response),
      body: response.body,
      endpoint: response.url,
      proofSent: false,
      dpopRequired: false,
      ...(transformTokenResponse === undefined ? {} : { transform: transformTokenResponse }),
      secrets: this.#secrets(request, parameters),
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
    const body = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''))
    const request: AuthenticatedRequest = { url, headers: { Accept: 'application/json' }, body }
    await this.#authenticate(request, o)
    return this.#context.http.send({
      phase: 'token',
      method: 'POST',
      url,
      headers: { ...request.headers, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: request.body.toString(),
      ...(o.within === undefined ? {} : { within: o.within }),
    })
  }

  async #authenticate(
    request: AuthenticatedRequest,
    { server, client }: Pick<TokenRequest, 'server' | 'client'>,
  ): Promise<void> {
    const { clientAuthentication, requestTimeout } = this.#context.settings
    const known = this.#withConfiguredSecret(client)
    const context = { client: known, issuer: server.issuer }
    await this.#method(known, server)(request, context)
    if (clientAuthentication === undefined) return
    await withDeadline(
      () => clientAuthentication(request, context),
      requestTimeout,
      'waiting for clientAuthentication()',
    )
  }

  #method(client: KnownClient, server: DiscoveredServer): ClientAuthentication {
    const name = chooseAuthenticationMethod({ client: { ...client, hasKey: false }, server: metadataOf(server) })
    if (name === 'client_secret_basic' && this.#context.settings.clientInformation?.basic_encoding === 'raw') {
      return clientSecretBasicRaw
    }
    const authentication = Object.hasOwn(clientAuthentications, name) ? clientAuthentications[name] : undefined
    if (authentication !== undefined) return authentication
    throw new OAuthRegistrationError(
      `The client is registered for the authentication method ${quote(name)}, which is not supported.`,
      {
        code: 'OAUTH_REGISTRATION_FAILED',
        endpoint: server.issuer,
        hint: 'Register it for client_secret_basic, client_secret_post or none, or set `clientAuthentication`.',
      },
    )
  }

  /** A configured secret lives in the options only. */
  #withConfiguredSecret(client: KnownClient): KnownClient {
    const { clientInformation } = this.#context.settings
    if (client.source !== 'static' || clientInformation?.client_secret === undefined) return client
    return { ...client, client_secret: clientInformation.client_secret }
  }

  #secrets({ client }: TokenRequest, parameters: Readonly<Record<string, string>>): readonly string[] {
    const secret = this.#withConfiguredSecret(client).client_secret
    const members = secretMembers.map((name) => parameters[name])
    return [secret, ...members].filter((value): value is string => value !== undefined && value !== '')
  }
}

function contentType(response: HttpResponse): { contentType?: string } {
  const value = response.header('content-type')
  return value === undefined ? {} : { contentType: value }
}

/** The response with absolute times; `N_A` (an exchanged token that is no access token) is its caller's business. */
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

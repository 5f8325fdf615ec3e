import type { OAuthContext } from '../context'
import { metadataOf } from '../metadata/discovered-server'
import { OAuthAuthorizationError, OAuthDiscoveryError } from '../errors'
import { authorizationParameters, buildAuthorizationUrl, buildPushedAuthorizationUrl } from '../protocol/authorization'
import { checkAuthorizationUrl } from '../protocol/endpoint'
import { parseJsonObject } from '../protocol/json'
import { proofHint } from '../protocol/refusal-hint'
import type { DiscoveredServer, KnownClient } from '../storage/record'
import type { TokenEndpoint } from '../token-endpoint'
import type { DpopKey } from '../token-types/dpop-key'
import { proofRefusalOf } from '../token-types/dpop-refusals'

/** What one authorization request says. */
export interface AuthorizationRequest {
  readonly server: DiscoveredServer
  readonly client: KnownClient
  readonly scope: string | undefined
  readonly redirectUri: string
  readonly state: string
  readonly codeChallenge: string
  /** The key that the code is to be bound to (RFC 9449 §10). */
  readonly proofKey?: DpopKey | undefined
}

/** Makes authorization requests: as one URL, or pushed to the server first (RFC 9126) where it wants or offers that. */
export class AuthorizationRequests {
  readonly #context: OAuthContext
  readonly #endpoint: TokenEndpoint

  constructor(o: { context: OAuthContext; tokenEndpoint: TokenEndpoint }) {
    this.#context = o.context
    this.#endpoint = o.tokenEndpoint
  }

  /** The URL at which a person signs in; a pushed request has been sent by then. */
  async url(o: AuthorizationRequest): Promise<string> {
    const metadata = metadataOf(o.server)
    const endpoint = metadata.authorization_endpoint ?? ''
    const { resourceParameter } = o.server
    const members = {
      clientId: o.client.client_id,
      redirectUri: o.redirectUri,
      state: o.state,
      codeChallenge: o.codeChallenge,
      ...(o.scope === undefined ? {} : { scope: o.scope }),
      ...(resourceParameter === undefined ? {} : { resource: resourceParameter }),
      extra: this.#context.settings.authorizeParams,
      dpopJkt: o.proofKey?.jkt,
    }
    const pushed = metadata.pushed_authorization_request_endpoint
    if (pushed === undefined) {
      if (metadata.require_pushed_authorization_requests === true) throw pushedOnly(o.server.issuer)
      return checkAuthorizationUrl(buildAuthorizationUrl({ endpoint, ...members }))
    }
    const requestUri = await this.#push(pushed, o, authorizationParameters(members))
    return checkAuthorizationUrl(buildPushedAuthorizationUrl(endpoint, o.client.client_id, requestUri))
  }

  /** RFC 9126 §2: the request goes to the server first, authenticated like a token request, with a proof if tokens have one. */
  async #push(
    url: string,
    o: Pick<AuthorizationRequest, 'server' | 'client' | 'proofKey'>,
    parameters: Readonly<Record<string, string>>,
  ): Promise<string> {
    const response = await this.#endpoint.post(url, o, parameters)
    const { request_uri: requestUri, error } = parseJsonObject(response.body) ?? {}
    if (response.status < 300 && typeof requestUri === 'string' && requestUri !== '') return requestUri
    throw new OAuthAuthorizationError(`${new URL(url).host} refused the pushed authorization request.`, {
      code: response.status >= 500 ? 'OAUTH_TEMPORARY' : 'OAUTH_AUTHORIZATION_DENIED',
      retryable: response.status >= 500,
      endpoint: url,
      status: response.status,
      oauthError: typeof error === 'string' ? error : undefined,
      hint: proofRefusalOf(response)
        ? proofHint({ date: response.header('date'), now: this.#context.settings.now() })
        : 'Check scope, redirect URI and authorizeParams against what the server allows for this client.',
    })
  }
}

function pushedOnly(issuer: string): OAuthDiscoveryError {
  return new OAuthDiscoveryError('The server requires pushed authorization requests and names no endpoint for them.', {
    code: 'OAUTH_METADATA_INVALID',
    endpoint: issuer,
    hint: 'The server must publish pushed_authorization_request_endpoint (RFC 9126 §5).',
  })
}

import { clientSecretBasic } from '../client-authentication/client-secret-basic'
import { clientSecretPost } from '../client-authentication/client-secret-post'
import type { AuthenticatedRequest, ClientAuthentication } from '../client-authentication/client-authentication'
import { none } from '../client-authentication/none'
import type { OAuthContext } from '../context'
import { OAuthDiscoveryError, quote } from '../errors'
import { retryAfterOf } from '../http'
import { MetadataDocuments } from '../metadata/metadata-documents'
import { checkEndpoint, isLoopbackUrl, refusalOf } from '../protocol/endpoint'
import { checkIssuer, isUsableIssuer } from '../protocol/issuer'
import { parseAuthorizationServerMetadata, type AuthorizationServerMetadata } from '../protocol/metadata'
import { chooseAuthenticationMethod } from '../protocol/registration'
import { refusalHint } from '../protocol/refusal-hint'
import { parseTokenResponse } from '../protocol/token'
import { authorizationServerMetadataUrls } from '../protocol/well-known'

/** The company's identity provider and how this client is known there. Nothing of it ever comes from a resource. */
export interface IdentityProviderOptions {
  readonly issuer: string
  /** @default as the metadata of the issuer says */
  readonly tokenEndpoint?: string
  readonly clientId: string
  readonly clientSecret?: string
  /** Another way to authenticate there, such as `privateKeyJwt({ private_key })`. */
  readonly clientAuthentication?: ClientAuthentication
}

const shared: Readonly<Record<string, ClientAuthentication>> = {
  none,
  client_secret_basic: clientSecretBasic,
  client_secret_post: clientSecretPost,
}

type Access = Pick<OAuthContext, 'http' | 'settings'>

/** Exchanges tokens at the configured identity provider (RFC 8693). */
export class IdentityProvider {
  readonly #options: IdentityProviderOptions
  #metadata: AuthorizationServerMetadata | undefined

  /** Throws a TypeError for what cannot be an identity provider. */
  constructor(options: IdentityProviderOptions) {
    checkProvider(options)
    this.#options = { ...options }
    const { issuer, tokenEndpoint } = options
    if (tokenEndpoint !== undefined) this.#metadata = { issuer, token_endpoint: tokenEndpoint }
  }

  /** The token of the type asked for; it is handed on and stored nowhere. Throws an `OAuthTokenError`. */
  async exchange(
    parameters: Readonly<Record<string, string>>,
    issuedTokenType: string,
    access: Access,
  ): Promise<string> {
    const { settings, http } = access
    const metadata = (this.#metadata ??= await this.#discover(access))
    const { token_endpoint: url, issuer } = metadata
    const body = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''))
    const request: AuthenticatedRequest = { url, headers: { Accept: 'application/json' }, body }
    await this.#authenticate(request, metadata, settings)
    const response = await http.send({
      phase: 'token',
      method: 'POST',
      url,
      headers: { ...request.headers, 'Content-Type': 'application/x-www-form-urlencoded' },
      body: body.toString(),
    })
    const secrets = [this.#options.clientSecret, body.get('subject_token'), body.get('client_assertion')]
    const { access_token: token } = parseTokenResponse({
      status: response.status,
      contentType: response.header('content-type'),
      body: response.body,
      endpoint: url,
      proofSent: false,
      dpopRequired: false,
      exchange: true,
      issuedTokenType,
      secrets: secrets.filter((secret) => typeof secret === 'string'),
      retryAfter: retryAfterOf(response, settings.now()),
      hint: refusalHint({ sent: body, issuer, date: response.header('date'), now: settings.now() }),
    })
    return token
  }

  async #discover({ http, settings }: Access): Promise<AuthorizationServerMetadata> {
    const { issuer } = this.#options
    const documents = new MetadataDocuments({ http, now: settings.now, protocolVersion: undefined })
    const metadata = await documents.first(authorizationServerMetadataUrls(issuer), (document, url) => {
      const found = parseAuthorizationServerMetadata(document, url)
      checkIssuer({ received: found.issuer, expected: issuer, trustedIssuers: [] })
      const rule = { loopback: isLoopbackUrl(issuer), publicOnly: false }
      checkEndpoint(found.token_endpoint, { name: 'token_endpoint', ...rule })
      return found
    })
    if (metadata !== undefined) return metadata
    throw new OAuthDiscoveryError(`The identity provider ${quote(issuer)} publishes no metadata.`, {
      code: 'OAUTH_DISCOVERY_FAILED',
      endpoint: issuer,
      hint: 'Check `identityProvider.issuer`, or set `identityProvider.tokenEndpoint`.',
    })
  }

  async #authenticate(
    request: AuthenticatedRequest,
    server: AuthorizationServerMetadata,
    { now, random, clockTolerance }: Access['settings'],
  ): Promise<void> {
    const { clientId, clientSecret, clientAuthentication } = this.#options
    const client = { source: 'static', client_id: clientId, client_secret: clientSecret } as const
    const name = clientAuthentication ?? chooseAuthenticationMethod({ client: { ...client, hasKey: false }, server })
    const method = typeof name === 'string' ? shared[name] : name
    const signingAlgorithms = server.token_endpoint_auth_signing_alg_values_supported
    await method?.(request, { client, issuer: server.issuer, signingAlgorithms, now, random, clockTolerance })
  }
}

function checkProvider(provider: unknown): void {
  const { issuer, tokenEndpoint, clientId, clientSecret } = (provider ?? {}) as Partial<
    Record<keyof IdentityProviderOptions, unknown>
  >
  const refuse = (member: string, expected: string): TypeError =>
    new TypeError(`axios-oauth2: \`identityProvider.${member}\` must be ${expected}.`)
  if (!isUsableIssuer(issuer, true))
    throw refuse('issuer', 'an https URL without query and fragment (http on loopback)')
  if (tokenEndpoint !== undefined && !isEndpoint(tokenEndpoint)) throw refuse('tokenEndpoint', 'an https URL')
  if (typeof clientId !== 'string' || clientId === '') throw refuse('clientId', 'a string that is not empty')
  if (clientSecret !== undefined && (typeof clientSecret !== 'string' || clientSecret === '')) {
    throw refuse('clientSecret', 'a string that is not empty')
  }
}

function isEndpoint(url: unknown): boolean {
  return typeof url === 'string' && refusalOf(url, { loopback: true, publicOnly: false, maxLength: 8192 }) === undefined
}

import { AuthorizationRequests } from './sign-in/authorization-request'
import type { OAuthContext } from './context'
import { checkPinned, metadataOf } from './metadata/discovered-server'
import type { Discovery } from './discovery'
import { isOAuthFlowError, OAuthAuthorizationError, OAuthDiscoveryError } from './errors'
import { emitAuthorized } from './grants/authorized'
import type { InteractiveFlow, InteractiveGrant, SignIn } from './grants/grant'
import type { Lease } from './state/lease'
import type { Need } from './need'
import type { AuthorizationCallback } from './options'
import { checkHostRelation, checkIss, parseAuthorizationResponse, readCode } from './protocol/authorization'
import { base64url } from './protocol/encoding'
import { sameIssuer } from './protocol/issuer'
import { checkCodeSupport, checkPkceSupport } from './protocol/metadata'
import { PkceParameters } from './protocol/pkce'
import { sameRedirectUri } from './protocol/registration'
import type { ReceiverSession } from './receiver'
import type { Registrar } from './registrar'
import { scopeToRequest } from './sign-in/sign-in-scope'
import { recordVersion, type DiscoveredServer, type KnownClient, type TokenSet } from './storage/record'
import type { TokenEndpoint, TokenRequest } from './token-endpoint'
import type { Verbs } from './verbs'
import { Visits } from './sign-in/visits'

/** Milliseconds within which a sign-in must be finished; its state is refused afterwards. */
const transactionLifetime = 600_000

/** A sign-in by authorization code that has begun. */
export interface CodeSignIn extends SignIn {
  readonly authorizationUrl: string
  readonly state: string
}

/**
 * The authorization code grant with PKCE (OAuth 2.1 §4.1, RFC 7636): `begin` stores a transaction and builds the URL,
 * `visit` lets the person sign in, `complete` checks the callback and redeems its code. `begin` and `complete` may run in
 * different processes over one storage.
 */
export class PkceFlow implements InteractiveFlow {
  readonly #context: OAuthContext
  readonly #discovery: Discovery
  readonly #registrar: Registrar
  readonly #endpoint: TokenEndpoint
  readonly #requests: AuthorizationRequests
  readonly #visits: Visits

  constructor({ context, discovery, registrar, tokenEndpoint }: Verbs) {
    this.#context = context
    this.#requests = new AuthorizationRequests({ context, tokenEndpoint })
    this.#discovery = discovery
    this.#registrar = registrar
    this.#endpoint = tokenEndpoint
    this.#visits = new Visits(context.settings)
  }

  get canAsk(): boolean {
    return this.#visits.canAsk
  }

  /** Discovers, registers, stores a transaction and builds the URL at which a person signs in. */
  async begin(lease: Lease, need: Need): Promise<CodeSignIn> {
    const { settings } = this.#context
    const server = await this.#discovery.discover(lease, need, { reread: true })
    const metadata = metadataOf(server)
    checkCodeSupport(metadata)
    // A server of 2025-03-26 without metadata has no list to read; S256 is sent all the same.
    if (server.legacy !== 'endpoints') checkPkceSupport(metadata, settings.assumePkceSupport)
    const scope = scopeToRequest(settings, need, server, lease.tokens.grant)
    await this.#forgetAbandoned(lease, server)
    const session = need.unattended === true ? undefined : await this.#openReceiver(lease, server)
    try {
      const redirectUri = session?.redirectUri ?? this.#configuredRedirect()
      const client = await this.#registrar.register(lease, {
        server,
        scope,
        redirectUri,
        interactive: true,
        ...(need.rejectedClient === undefined ? {} : { rejected: need.rejectedClient }),
      })
      return await this.#open(lease, { server, client, scope, redirectUri, session })
    } catch (error) {
      await session?.close()
      throw error
    }
  }

  /** Shows the URL to the person and waits for the callback. No lock is held meanwhile. */
  visit(signIn: CodeSignIn, signal: AbortSignal): Promise<AuthorizationCallback> {
    return this.#visits.visit(signIn, signal)
  }

  /**
   * Checks a callback (duplicates, state, issuer, error, code, in this order), redeems its code once and stores the
   * tokens. What fails before the state matched leaves the transaction as it was.
   */
  async complete(lease: Lease, callback: AuthorizationCallback): Promise<TokenSet> {
    const response = parseAuthorizationResponse(callback)
    const { state = '' } = response
    const transaction = await lease.transactions.find(state)
    await lease.transactions.use(state)
    const { server, client, redirectUri, codeVerifier, scope, dpop } = transaction
    const metadata = metadataOf(server)
    const { trustedIssuers, trustedEndpoints } = this.#context.settings
    checkIss(response, {
      issuer: server.issuer,
      advertised: metadata.authorization_response_iss_parameter_supported === true,
      trustedIssuers,
    })
    if (response.iss === undefined && server.legacy !== 'endpoints') {
      checkHostRelation({
        authorizationEndpoint: metadata.authorization_endpoint ?? '',
        tokenEndpoint: metadata.token_endpoint,
        issuer: server.issuer,
        trustedEndpoints,
      })
    }
    const code = readCode(response)
    this.#checkInForce(lease, server)
    await this.#endpoint.dpop.demand(dpop?.jkt, server)
    const parameters = {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: codeVerifier,
    }
    const tokens = await this.#redeem(lease, { server, client, parameters, requestedScope: scope, boundTo: dpop?.jkt })
    const stored = await lease.tokens.save({ server, client, tokens, requestedScope: scope })
    await lease.clients.forgetRejected(server.issuer)
    const refreshable = stored.refresh_token !== undefined
    emitAuthorized(this.#context, { server, scope, tokens: stored, refreshable, startedAt: transaction.createdAt })
    return stored
  }

  /** Removes the transaction, and a registration that never led to a token. */
  async abandon(lease: Lease, { state, server, client }: CodeSignIn): Promise<void> {
    await lease.transactions.discard(state)
    await this.#registrar.forgetUnproven(lease, server, client)
  }

  /** A registration that the server has lost may be why nobody came back from a sign-in: the person saw an error page. */
  async #forgetAbandoned(lease: Lease, server: DiscoveredServer): Promise<void> {
    const { abandoned } = lease.transactions
    if (abandoned.length === 0) return
    for (const { client } of await lease.clients.at(server.issuer)) {
      if (abandoned.includes(client.client_id)) await this.#registrar.forgetUnproven(lease, server, client)
    }
  }

  /** A registration that the server calls unknown is not used by another sign-in; it goes when a new one has worked. */
  async #redeem(lease: Pick<Lease, 'clients'>, request: TokenRequest): Promise<TokenSet> {
    try {
      return await this.#endpoint.request(request)
    } catch (error) {
      const { server, client } = request
      if (isOAuthFlowError(error) && error.oauthError === 'invalid_client') {
        await lease.clients.reject(server.issuer, client.client_id)
      }
      throw error
    }
  }

  async #open(
    lease: Lease,
    o: {
      server: DiscoveredServer
      client: KnownClient
      scope: string | undefined
      redirectUri: string
      session: ReceiverSession | undefined
    },
  ): Promise<CodeSignIn> {
    const { now, random, serverUrl, partition = null } = this.#context.settings
    const { server, client, scope, redirectUri } = o
    checkRegisteredRedirect(client, redirectUri)
    const pkce = await PkceParameters.generate(random)
    const state = base64url(random(32))
    const proofKey = await this.#endpoint.dpop.keyFor(server)
    const authorizationUrl = await this.#requests.url({ ...o, state, codeChallenge: pkce.codeChallenge, proofKey })
    const createdAt = now()
    const expiresAt = createdAt + transactionLifetime
    await lease.transactions.open(state, {
      kind: 'transaction',
      version: recordVersion,
      serverUrl,
      partition,
      codeVerifier: pkce.codeVerifier,
      server,
      client,
      redirectUri,
      ...(scope === undefined ? {} : { scope }),
      ...(proofKey === undefined ? {} : { dpop: { jkt: proofKey.jkt } }),
      createdAt,
      expiresAt,
    })
    if (o.session !== undefined) this.#visits.expect(state, o.session)
    return { server, client, scope, expiresAt, authorizationUrl, state }
  }

  async #openReceiver(lease: Lease, server: DiscoveredServer): Promise<ReceiverSession | undefined> {
    const { receiver, clientInformation } = this.#context.settings
    if (receiver === undefined) return undefined
    const known = await lease.clients.at(server.issuer)
    const registered = clientInformation?.redirect_uris ?? known[0]?.client.redirect_uris
    return receiver.open({ registered: registered === undefined ? undefined : [...registered] })
  }

  #configuredRedirect(): string {
    const { clientMetadata, clientInformation, receiver } = this.#context.settings
    const [uri] = clientMetadata.redirect_uris ?? clientInformation?.redirect_uris ?? receiver?.redirectUris ?? []
    if (uri !== undefined) return uri
    throw new OAuthAuthorizationError('There is no redirect URI for a sign-in that is finished elsewhere.', {
      code: 'OAUTH_CONFLICT',
      hint: 'Set `clientMetadata.redirect_uris`, or give the receiver fixed ports.',
    })
  }

  /** A code is not redeemed at a server that is no longer the one in force for the session; older news do not count. */
  #checkInForce(lease: Lease, server: DiscoveredServer): void {
    const { known } = lease.metadata
    if (known === undefined || known.discoveredAt < server.discoveredAt) return
    if (sameIssuer(known.issuer, server.issuer)) return checkPinned(server, known)
    throw new OAuthDiscoveryError('The authorization server changed while the person was signing in.', {
      code: 'OAUTH_AS_CHANGED',
      endpoint: server.issuer,
      hint: 'Start the sign-in again.',
    })
  }
}

/** Signing in by authorization code with PKCE; the default grant. */
export function authorizationCode(): InteractiveGrant {
  return { kind: 'interactive', name: 'authorization_code', flow: (verbs) => new PkceFlow(verbs) }
}

function checkRegisteredRedirect(client: KnownClient, redirectUri: string): void {
  const registered = client.redirect_uris
  if (registered === undefined || registered.some((uri) => sameRedirectUri(uri, redirectUri))) return
  throw new OAuthAuthorizationError(`The redirect URI is not registered for this client.`, {
    code: 'OAUTH_REGISTRATION_FAILED',
    endpoint: redirectUri,
    hint: 'Use one of the redirect URIs in `clientInformation`, or register this one.',
  })
}

import * as oauth from 'oauth4webapi'
import { UserAgent } from './user-agent.mjs'

/**
 * An OAuth client that owes nothing to this library: oauth4webapi, driven step by step. It shows that a server does what
 * it should, and is the second opinion where a spec doubts ours.
 */

const insecure = { [oauth.allowInsecureRequests]: true }

export interface HandClient {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly authentication: oauth.ClientAuth
  readonly dpop?: oauth.DPoPHandle
}

const redirectUri = 'http://127.0.0.1:49152/callback'

export async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer)
  const response = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure })
  return oauth.processDiscoveryResponse(url, response)
}

/** Registers a public native client. */
export async function register(
  issuer: string,
  metadata: Partial<oauth.OmitSymbolProperties<oauth.Client>> = {},
): Promise<HandClient> {
  const server = await discover(issuer)
  const response = await oauth.dynamicClientRegistrationRequest(
    server,
    {
      client_name: 'Hand',
      application_type: 'native',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...metadata,
    },
    insecure,
  )
  const client = await oauth.processDynamicClientRegistrationResponse(response)
  return { server, client, authentication: oauth.None() }
}

export interface SignIn {
  readonly resource?: string
  readonly scope?: string
  readonly loginHint?: string
  readonly person?: UserAgent
  readonly pushed?: boolean
}

/** Code flow with PKCE, the person played by the scripted user agent. */
export async function signIn(
  hand: HandClient,
  { resource, scope, loginHint, person, pushed }: SignIn,
): Promise<oauth.TokenEndpointResponse> {
  const { server, client, authentication } = hand
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const parameters = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(resource !== undefined && { resource }),
    ...(scope !== undefined && { scope }),
    ...(loginHint !== undefined && { login_hint: loginHint }),
  })
  const url = new URL(server.authorization_endpoint ?? '')
  url.search = (pushed ? await push(hand, parameters) : parameters).toString()
  const callback = new URL(await (person ?? new UserAgent()).authorize(url, { redirectUri }))
  const checked = oauth.validateAuthResponse(server, client, callback, state)
  const exchange = () =>
    oauth.authorizationCodeGrantRequest(server, client, authentication, checked, redirectUri, verifier, {
      ...insecure,
      ...(hand.dpop && { DPoP: hand.dpop }),
      additionalParameters: resource === undefined ? {} : { resource },
    })
  return oauth.processAuthorizationCodeResponse(
    server,
    client,
    await withNonce(hand, exchange, (response) => oauth.processAuthorizationCodeResponse(server, client, response)),
  )
}

async function push(
  { server, client, authentication }: HandClient,
  parameters: URLSearchParams,
): Promise<URLSearchParams> {
  const response = await oauth.pushedAuthorizationRequest(server, client, authentication, parameters, insecure)
  const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, response)
  return new URLSearchParams({ client_id: client.client_id, request_uri })
}

/** Sends again, once, with the nonce that the first answer demanded. */
async function withNonce(
  hand: HandClient,
  send: () => Promise<Response>,
  check: (response: Response) => Promise<unknown>,
): Promise<Response> {
  const response = await send()
  if (hand.dpop === undefined || response.ok) return response
  try {
    await check(response.clone())
  } catch (error) {
    if (oauth.isDPoPNonceError(error)) return send()
  }
  return response
}

/** The bare response of a refresh. */
export function refresh(
  { server, client, authentication }: HandClient,
  token: string,
  resource?: string,
): Promise<Response> {
  return oauth.refreshTokenGrantRequest(server, client, authentication, token, {
    ...insecure,
    additionalParameters: resource === undefined ? {} : { resource },
  })
}

export async function revoke({ server, client, authentication }: HandClient, token: string): Promise<Response> {
  return oauth.revocationRequest(server, client, authentication, token, insecure)
}

export async function clientCredentials(
  { server, client, authentication }: HandClient,
  parameters: Record<string, string>,
): Promise<oauth.TokenEndpointResponse> {
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure)
  return oauth.processClientCredentialsResponse(server, client, response)
}

/** A request with the token, as Bearer or with a proof. */
export function call(url: string, token: string, hand?: HandClient): Promise<Response> {
  const send = () =>
    oauth.protectedResourceRequest(token, 'GET', new URL(url), undefined, undefined, {
      ...insecure,
      ...(hand?.dpop && { DPoP: hand.dpop }),
    })
  return send().catch((error: unknown) => {
    if (oauth.isDPoPNonceError(error)) return send()
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.response
    throw error
  })
}

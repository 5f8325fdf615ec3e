import { metadataOf } from '../metadata/discovered-server'
import { OAuthAuthorizationError, OAuthDiscoveryError, quote } from '../errors'
import { isTransientStatus, retryAfterOf, type HttpResponse } from '../http'
import type { Lease } from '../state/lease'
import type { Need } from '../need'
import { parseDeviceAuthorization, type DeviceAuthorization } from '../protocol/device-authorization'
import { parseJsonObject } from '../protocol/json'
import { readTokenError } from '../protocol/token'
import { scopeToRequest } from '../sign-in/sign-in-scope'
import type { TokenSet } from '../storage/record'
import type { Verbs } from '../verbs'
import { emitAuthorized } from './authorized'
import { codeExpired, poll } from './device-polling'
import type { InteractiveFlow, InteractiveGrant, SignIn } from './grant'

/** What a person is shown: open the URL on any device and enter the code. */
export interface UserCode {
  readonly userCode: string
  readonly verificationUri: string
  /** The URL with the code in it, for a link or a QR code, where the server gives one. */
  readonly verificationUriComplete: string | undefined
  /** When the code stops working, in milliseconds since the epoch. */
  readonly expiresAt: number
  /** Aborts when the sign-in has ended, well or not: the code need not be shown any longer. */
  readonly signal: AbortSignal
}

/** How {@link deviceCode} reaches the person. */
export interface DeviceCodeOptions {
  readonly onUserCode: (o: UserCode) => void | Promise<void>
}

/** A sign-in on another device that has begun. */
interface DeviceSignIn extends SignIn {
  readonly startedAt: number
}

/** What a visit came to; only this file can make one, so that no callback from outside passes for it. */
class Earned {
  constructor(
    readonly signIn: DeviceSignIn,
    readonly tokens: TokenSet,
  ) {}
}

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'

/**
 * Signs in where there is no browser: a person opens a URL on another device and enters a code, while this one polls
 * (RFC 8628). Rejects with `OAUTH_AUTHORIZATION_DENIED` when the person says no and with `OAUTH_CALLBACK_TIMEOUT` when the
 * code, or the option `timeout`, has run out.
 */
export function deviceCode({ onUserCode }: DeviceCodeOptions): InteractiveGrant {
  if (typeof onUserCode !== 'function') {
    throw new TypeError('axios-oauth2: deviceCode() needs `onUserCode`, a function that shows the code.')
  }
  return { kind: 'interactive', name: 'device_code', flow: (verbs) => new DeviceFlow(verbs, onUserCode) }
}

class DeviceFlow implements InteractiveFlow {
  readonly canAsk = true
  readonly #verbs: Verbs
  readonly #onUserCode: DeviceCodeOptions['onUserCode']
  readonly #authorizations = new WeakMap<SignIn, DeviceAuthorization>()

  constructor(verbs: Verbs, onUserCode: DeviceCodeOptions['onUserCode']) {
    this.#verbs = verbs
    this.#onUserCode = onUserCode
  }

  /** Asks the server for a code (RFC 8628 §3.1). */
  async begin(lease: Lease, need: Need): Promise<DeviceSignIn> {
    const { context, discovery, registrar, tokenEndpoint } = this.#verbs
    const { settings } = context
    const startedAt = settings.now()
    const server = await discovery.discover(lease, need, { reread: true })
    const endpoint = metadataOf(server).device_authorization_endpoint
    if (endpoint === undefined) throw noDeviceEndpoint(server.issuer)
    const scope = scopeToRequest(settings, need, server, lease.tokens.grant)
    const client = await registrar.register(lease, {
      server,
      scope,
      interactive: true,
      grantTypes: [grantType, 'refresh_token'],
      rejected: need.rejectedClient,
    })
    const askedAt = settings.now()
    const response = await tokenEndpoint.post(
      endpoint,
      { server, client },
      { ...settings.authorizeParams, scope: scope ?? '', resource: server.resourceParameter ?? '' },
    )
    const authorization = this.#read(response)
    const signIn = { server, client, scope, startedAt, expiresAt: askedAt + authorization.expiresIn * 1000 }
    this.#authorizations.set(signIn, authorization)
    return signIn
  }

  /** Shows the code and polls until the person has answered; no lock is held, and no timer outlives the signal. */
  async visit(signIn: DeviceSignIn, signal: AbortSignal): Promise<Earned> {
    const authorization = this.#authorizations.get(signIn)
    if (authorization === undefined) throw codeExpired()
    signal.throwIfAborted()
    const ending = new AbortController()
    const onAbort = (): void => ending.abort(signal.reason)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    try {
      const shown = this.#show(authorization, signIn, ending.signal)
      return await Promise.race([this.#poll(authorization, signIn, ending.signal), shown])
    } finally {
      signal.removeEventListener('abort', onAbort)
      ending.abort()
    }
  }

  async complete(lease: Lease, answer: unknown): Promise<TokenSet> {
    if (!(answer instanceof Earned)) throw noCallback()
    const { server, client, scope, startedAt } = answer.signIn
    const tokens = await lease.tokens.save({ server, client, tokens: answer.tokens, requestedScope: scope })
    const refreshable = tokens.refresh_token !== undefined
    emitAuthorized(this.#verbs.context, { server, scope, tokens, refreshable, startedAt })
    return tokens
  }

  async abandon(lease: Lease, { server, client }: SignIn): Promise<void> {
    await this.#verbs.registrar.forgetUnproven(lease, server, client)
  }

  #read(response: HttpResponse): DeviceAuthorization {
    const { url, status, body } = response
    const document = parseJsonObject(body)
    const oauthError = readTokenError(document)
    if (document !== undefined && status < 300 && oauthError === undefined)
      return parseDeviceAuthorization(document, url)
    const transient = isTransientStatus(status)
    throw new OAuthAuthorizationError(`${new URL(url).host} gave no code for signing in on another device.`, {
      code: transient ? 'OAUTH_TEMPORARY' : 'OAUTH_TOKEN_ENDPOINT_ERROR',
      retryable: transient,
      endpoint: url,
      status,
      oauthError: oauthError?.error,
      retryAfter: transient ? retryAfterOf(response, this.#verbs.context.settings.now()) : undefined,
      hint: transient ? undefined : 'Check that the client may use the device grant, and the scope it asks for.',
    })
  }

  /** Settles only when the code cannot be shown: whoever cannot see it cannot answer. */
  async #show(
    { userCode, verificationUri, verificationUriComplete }: DeviceAuthorization,
    { expiresAt }: SignIn,
    signal: AbortSignal,
  ): Promise<never> {
    try {
      await this.#onUserCode({ userCode, verificationUri, verificationUriComplete, expiresAt, signal })
    } catch (cause) {
      throw new OAuthAuthorizationError('The code for signing in on another device could not be shown.', {
        code: 'OAUTH_AUTHORIZATION_REQUIRED',
        hint: 'The function `onUserCode` failed.',
        cause,
      })
    }
    return new Promise(() => undefined)
  }

  async #poll(o: DeviceAuthorization, signIn: DeviceSignIn, signal: AbortSignal): Promise<Earned> {
    const { tokenEndpoint, context } = this.#verbs
    const { server, client, scope: requestedScope, expiresAt } = signIn
    const parameters = { grant_type: grantType, device_code: o.deviceCode }
    const ask = (): Promise<TokenSet> => tokenEndpoint.request({ server, client, parameters, requestedScope })
    const { now } = context.settings
    return new Earned(signIn, await poll(ask, { interval: o.interval, expiresAt, now, signal }))
  }
}

function noDeviceEndpoint(issuer: string): OAuthDiscoveryError {
  return new OAuthDiscoveryError(`The server ${quote(issuer)} does not let people sign in on another device.`, {
    code: 'OAUTH_DISCOVERY_FAILED',
    endpoint: issuer,
    hint: 'Its metadata has no `device_authorization_endpoint` (RFC 8628 §4): use another grant.',
  })
}

function noCallback(): OAuthAuthorizationError {
  return new OAuthAuthorizationError('Signing in on another device has no callback.', {
    code: 'OAUTH_CONFLICT',
    hint: 'finishAuthorization() belongs to authorizationCode().',
  })
}

import { isOAuthFlowError, type OAuthErrorCode } from './errors'

/** What every event carries. */
export interface OAuthEventBase {
  /** Origin of the server the step was about: the authorization server where one is known, else the resource. */
  readonly origin: string
  /** How long the step took, in milliseconds; 0 for what has no duration. */
  readonly duration: number
}

/** How the client came to be known at the authorization server. */
export type ClientSource = 'static' | 'metadata-document' | 'dynamic'

/** The events of a provider by name. None holds a token, code, verifier, state, secret or URL query. */
export interface OAuthEvents {
  discovered: OAuthEventBase & { readonly issuer: string; readonly resource: string }
  registered: OAuthEventBase & { readonly issuer: string; readonly dropped: readonly string[] }
  authorizationRequired: OAuthEventBase & {
    readonly issuer: string
    readonly scope: string | undefined
    readonly reason: 'no-session' | 'session-ended' | 'step-up'
    /** Whether a person is being asked; false when the request is rejected instead. */
    readonly asking: boolean
  }
  authorized: OAuthEventBase & {
    readonly issuer: string
    readonly scope: string | undefined
    readonly expiresAt: number | undefined
    /** False: there will be a sign-in again when the access token expires. */
    readonly refreshable: boolean
    /** Scopes granted although they were not asked for. */
    readonly unasked: readonly string[]
  }
  refreshed: OAuthEventBase & { readonly scope: string | undefined; readonly expiresAt: number | undefined }
  refreshFailed: OAuthEventBase & {
    readonly code: OAuthErrorCode
    readonly retryable: boolean
    readonly retryAfter: number | undefined
  }
  stepUp: OAuthEventBase & { readonly scope: string }
  signedOut: OAuthEventBase & { readonly revoked: boolean }
  legacyFallback: OAuthEventBase & { readonly step: 'metadata' | 'endpoints' }
  sessionEnded: OAuthEventBase & { readonly oauthError: string | undefined }
  storageFailed: OAuthEventBase & { readonly code: OAuthErrorCode; readonly operation: 'read' | 'write' | 'delete' }
  /** A URL that a server named and that is never contacted (THREATS D2). */
  urlRefused: OAuthEventBase & { readonly endpoint: string | undefined; readonly code: OAuthErrorCode }
}

type Listener<E extends keyof OAuthEvents> = (event: OAuthEvents[E]) => unknown

/**
 * Tells listeners and, on Node, the diagnostics channel `axios-oauth2:<event>` what happened. A listener that throws,
 * rejects or never settles changes nothing.
 */
export class Events {
  readonly #listeners = new Map<string, Set<(event: never) => unknown>>()
  readonly #call: (listener: () => unknown) => unknown

  /** `call`: calls a listener. Default: just so. */
  constructor(call: (listener: () => unknown) => unknown = (listener) => listener()) {
    this.#call = call
  }

  /** Adds a listener; the function returned removes it. */
  on<E extends keyof OAuthEvents>(event: E, listener: Listener<E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<E extends keyof OAuthEvents>(event: E, data: OAuthEvents[E]): void {
    Object.freeze(data)
    for (const listener of this.#listeners.get(event) ?? []) {
      callSafely(() => this.#call(() => (listener as Listener<E>)(data)))
    }
    callSafely(() => this.#call(() => diagnosticsChannel(event)?.publish(data)))
  }
}

/** The code that an event may show of any caught value. */
export function codeOf(error: unknown): OAuthErrorCode {
  return isOAuthFlowError(error) ? error.code : 'OAUTH_TEMPORARY'
}

function callSafely(call: () => unknown): void {
  try {
    const result = call()
    if (result instanceof Promise) result.catch(() => undefined)
  } catch {
    // A listener's failure is the listener's own.
  }
}

interface DiagnosticsChannel {
  channel(name: string): { publish(message: unknown): void }
}

/** Node's diagnostics channel, looked up at run time so that the core loads anywhere. */
function diagnosticsChannel(event: string): { publish(message: unknown): void } | undefined {
  const host = (globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }).process
  const module = host?.getBuiltinModule?.('node:diagnostics_channel') as DiagnosticsChannel | undefined
  return module?.channel(`axios-oauth2:${event}`)
}

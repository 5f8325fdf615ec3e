import { OAuthAuthorizationError, endpointOf } from '../errors'
import { checkAuthorizationUrl } from './endpoint'
import type { JsonObject } from './json'
import { parseExpiresIn } from './lifetime'

/** What a person needs in order to sign in on another device, and what this one polls with (RFC 8628 §3.2). */
export interface DeviceAuthorization {
  readonly deviceCode: string
  readonly userCode: string
  readonly verificationUri: string
  /** With the user code in it, for a QR code. */
  readonly verificationUriComplete: string | undefined
  /** Seconds. */
  readonly expiresIn: number
  /** Seconds between polls. */
  readonly interval: number
}

/** RFC 8628 §3.2: "If no value is provided, clients MUST use 5 as the default." */
const defaultInterval = 5
/** Seconds, where the server does not say although it must: as long as most codes live. */
const defaultLifetime = 600

/**
 * Reads the answer of a device authorization endpoint. The URLs are such as a browser may be sent to, and the code is one
 * that can be shown. Throws `OAUTH_TOKEN_INVALID` or `OAUTH_URL_FORBIDDEN`.
 */
export function parseDeviceAuthorization(document: JsonObject, endpoint: string): DeviceAuthorization {
  const { device_code: deviceCode, user_code: userCode, verification_uri_complete: complete } = document
  // `verification_url` is what Google's servers have said since before the RFC.
  const uri = document.verification_uri ?? document.verification_url
  if (typeof deviceCode !== 'string' || deviceCode === '') throw invalid(endpoint, 'has no `device_code`')
  if (typeof userCode !== 'string' || !/^[\p{L}\p{N}\p{P}\p{S} ]{1,64}$/u.test(userCode)) {
    throw invalid(endpoint, 'has no `user_code` that can be shown')
  }
  if (typeof uri !== 'string') throw invalid(endpoint, 'has no `verification_uri`')
  return {
    deviceCode,
    userCode,
    verificationUri: checkAuthorizationUrl(uri),
    verificationUriComplete:
      typeof complete === 'string' && complete !== '' ? checkAuthorizationUrl(complete) : undefined,
    expiresIn: parseExpiresIn(document.expires_in) ?? defaultLifetime,
    interval: parseExpiresIn(document.interval) || defaultInterval,
  }
}

/** Whether, and after how many seconds of interval, to poll again after an error (RFC 8628 §3.5). */
export function nextInterval(oauthError: string | undefined, interval: number): number | undefined {
  if (oauthError === 'authorization_pending') return interval
  // RFC 8628 §3.5: "the interval MUST be increased by 5 seconds for this and all subsequent requests".
  return oauthError === 'slow_down' ? interval + 5 : undefined
}

function invalid(endpoint: string, reason: string): OAuthAuthorizationError {
  return new OAuthAuthorizationError(`The answer of ${endpointOf(endpoint) ?? 'the device endpoint'} ${reason}.`, {
    code: 'OAUTH_TOKEN_INVALID',
    endpoint,
  })
}

import { OAuthDiscoveryError, quote } from '../errors'
import { refusalOf } from './endpoint'

const maxIssuerLength = 8192

/**
 * Whether two issuers are the same, character by character as received (RFC 8414 §3.3). The one tolerance: an empty
 * path and the path `/` are equal, because Google's and other servers spell their two documents differently.
 */
export function sameIssuer(a: string, b: string): boolean {
  return a === b || withoutRootSlash(a) === withoutRootSlash(b)
}

/**
 * Checks the `issuer` of a metadata document against the one that led to it (RFC 8414 §3.3). Throws
 * {@link OAuthDiscoveryError} `OAUTH_ISSUER_MISMATCH`, unless the received one is trusted by the configuration.
 */
export function checkIssuer(o: {
  readonly received: string
  readonly expected: string
  readonly trustedIssuers: readonly string[]
}): void {
  if ([o.expected, ...o.trustedIssuers].some((issuer) => sameIssuer(o.received, issuer))) return
  throw new OAuthDiscoveryError(
    `The authorization-server metadata names the issuer ${quote(o.received)}, expected was ${quote(o.expected)}; ` +
      'only an issuer listed in trustedIssuers may differ.',
    {
      code: 'OAUTH_ISSUER_MISMATCH',
      endpoint: o.expected,
      hint: 'If you know that this issuer belongs to the server, add it to trustedIssuers.',
    },
  )
}

/**
 * Whether a value can name an authorization server: an absolute https URL (http on a loopback host when `loopback`)
 * without query, fragment and userinfo (RFC 8414 §2). A host such as `{tenant}` is a placeholder, which URL parsers let
 * through and RFC 3986 §3.2.2 does not.
 */
export function isUsableIssuer(value: unknown, loopback: boolean): value is string {
  if (typeof value !== 'string' || /[?#]/.test(value) || /^[^/]*\/\/[^/]*[{}]/.test(value)) return false
  return refusalOf(value, { loopback, publicOnly: false, maxLength: maxIssuerLength }) === undefined
}

function withoutRootSlash(issuer: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/\\?#]+\/$/i.test(issuer) ? issuer.slice(0, -1) : issuer
}

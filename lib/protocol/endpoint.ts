import { endpointOf, OAuthAuthorizationError, OAuthDiscoveryError, quote } from '../errors'
import type { OAuthPhase } from '../errors'
import { isLoopbackHost, isPrivateAddress } from './address'

/** What a URL that a server chose must fulfil before anything is sent to it. */
export interface EndpointRule {
  /** How messages call it, such as `token_endpoint`. */
  readonly name: string
  /** Whether plain http on a loopback host is allowed, because the configured server or the issuer is on one. */
  readonly loopback: boolean
  /** Whether addresses of this machine and its networks are refused, because the configured server is public. */
  readonly publicOnly: boolean
  /** The phase of the error. Default `discovery`. */
  readonly phase?: OAuthPhase
}

const maxEndpointLength = 8192
/** An endpoint of the greatest length and what an authorization request adds to it. */
const maxAuthorizationUrlLength = 2 * maxEndpointLength

/**
 * Answers the URL unchanged if it may be used: absolute, https (or http on a loopback host where the rule says so),
 * without userinfo, fragment, blanks or control characters, at most 8 KB long, and not internal where that is asked.
 * Throws {@link OAuthDiscoveryError} `OAUTH_URL_FORBIDDEN`, or `OAUTH_METADATA_INVALID` for a fragment
 * (RFC 6749 §3.1 and §3.2; MCP 2026-07-28, Communication Security).
 */
export function checkEndpoint(value: string, rule: EndpointRule): string {
  const refusal = refusalOf(value, { ...rule, maxLength: maxEndpointLength })
  if (refusal !== undefined) throw endpointError('OAUTH_URL_FORBIDDEN', value, rule, refusal)
  if (value.includes('#')) throw endpointError('OAUTH_METADATA_INVALID', value, rule, 'it has a fragment')
  return value
}

/** Whether a URL is on a loopback host. */
export function isLoopbackUrl(url: string): boolean {
  return URL.canParse(url) && isLoopbackHost(new URL(url).hostname)
}

/**
 * Answers the serialised form of a URL that a browser may be sent to: https, or http on a loopback host, without
 * userinfo, blanks or control characters. Throws {@link OAuthAuthorizationError} `OAUTH_URL_FORBIDDEN`.
 */
export function checkAuthorizationUrl(url: string): string {
  const refusal = refusalOf(url, { loopback: true, publicOnly: false, maxLength: maxAuthorizationUrlLength })
  if (refusal === undefined) return new URL(url).href
  throw new OAuthAuthorizationError(`The URL ${shown(url)} is not opened: ${refusal}.`, {
    code: 'OAUTH_URL_FORBIDDEN',
    endpoint: url,
  })
}

/** Says why a URL is refused; undefined if it is not. */
export function refusalOf(
  value: string,
  rule: Pick<EndpointRule, 'loopback' | 'publicOnly'> & { readonly maxLength: number },
): string | undefined {
  if (value.length > rule.maxLength) return `it is longer than ${rule.maxLength} characters`
  // Judged on the raw text: the URL parser strips tabs and newlines, and drops an empty userinfo.
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\s\x00-\x20\x7f-\x9f]/.test(value)) return 'it contains blanks or control characters'
  if (!/^https?:\/\/[^/\\?#]/i.test(value) || !URL.canParse(value)) return 'it is no absolute http(s) URL'
  if (/^[^/]*\/\/[^/\\?#]*@/.test(value)) return 'it contains userinfo'
  const { protocol, hostname } = new URL(value)
  if (protocol !== 'https:' && !(rule.loopback && isLoopbackHost(hostname))) return 'it is not https'
  if (rule.publicOnly && isPrivateAddress(hostname)) return 'its host is a private address (allowPrivateAddresses)'
  return undefined
}

function endpointError(
  code: 'OAUTH_URL_FORBIDDEN' | 'OAUTH_METADATA_INVALID',
  value: string,
  rule: EndpointRule,
  refusal: string,
): OAuthDiscoveryError {
  return new OAuthDiscoveryError(`The ${rule.name} ${shown(value)} is refused: ${refusal}.`, {
    code,
    endpoint: value.slice(0, maxEndpointLength),
    ...(rule.phase === undefined ? {} : { phase: rule.phase }),
  })
}

/** Origin and path, so that neither userinfo nor a query comes into a message. */
function shown(value: string): string {
  return quote(endpointOf(value.slice(0, maxEndpointLength)) ?? value)
}

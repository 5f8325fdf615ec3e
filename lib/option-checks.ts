import { checkRedirectUri, checkClientIdMetadataUrl } from './protocol/registration'
import { isLoopbackHost } from './protocol/address'
import { isUsableIssuer } from './protocol/issuer'
import { parseScope } from './protocol/scope'
import { hasClientKey, readClientKey } from './client-authentication/client-key'
import { dpopDefect } from './dpop-option'
import { storageDefect } from './storage/token-storage'
import type { OAuthOptions } from './options'

/** Says what was expected of a value, or undefined when it is fine. May throw a TypeError of its own. */
type Check = (value: unknown) => string | undefined

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const aFunction: Check = (value) => (typeof value === 'function' ? undefined : 'a function')
const text: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'a non-empty string')
const milliseconds: Check = (value) =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value) ? undefined : 'a number of milliseconds, 0 or more'
const aBoolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false')
const oneOf =
  (...names: readonly string[]): Check =>
  (value) =>
    names.includes(value as string) ? undefined : names.map((name) => `'${name}'`).join(' or ')
const listOf =
  (check: Check, what: string): Check =>
  (value) =>
    Array.isArray(value) && value.every((entry) => check(entry) === undefined) ? undefined : `an array of ${what}`
const scope: Check = (value) =>
  typeof value === 'string' && parseScope(value).length > 0 ? undefined : 'a space-separated list of scopes'
const issuer: Check = (value) =>
  isUsableIssuer(value, true) ? undefined : 'an issuer: an https URL without query and fragment (http on loopback)'

/** Parameters that the protocol sets; the user's own must not name them. */
const protocolParameters = new Set(
  [
    'response_type client_id redirect_uri state code_challenge code_challenge_method scope resource request request_uri dpop_jkt',
    'grant_type code code_verifier refresh_token client_secret client_assertion client_assertion_type assertion',
    'device_code subject_token subject_token_type requested_token_type',
  ].flatMap((names) => names.split(' ')),
)

const parameters: Check = (value) => {
  if (!isRecord(value) || Object.values(value).some((entry) => typeof entry !== 'string')) return 'an object of strings'
  const taken = Object.keys(value).find((name) => protocolParameters.has(name))
  return taken === undefined ? undefined : `parameters of your own; \`${taken}\` is set by the protocol`
}

const serverUrl: Check = (value) => {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined) return 'an absolute URL'
  if (url.username !== '' || url.password !== '') return 'a URL without user name and password'
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
  return secure ? undefined : 'an https URL (http only on localhost, 127.0.0.1 and [::1])'
}

const clientMetadata: Check = (value) => {
  if (!isRecord(value)) return 'an object of RFC 7591 members'
  const uris = value.redirect_uris
  if (uris !== undefined && listOf(text, '')(uris) !== undefined) return 'redirect_uris to be an array of strings'
  for (const uri of (uris ?? []) as string[]) checkRedirectUri(uri)
  return undefined
}

const clientInformation: Check = (value) => {
  if (!isRecord(value) || text(value.client_id) !== undefined) return 'an object with a non-empty client_id'
  if (value.client_secret !== undefined && text(value.client_secret) !== undefined)
    return 'client_secret not to be empty'
  if (value.issuer !== undefined) {
    const defect = issuer(value.issuer)
    if (defect !== undefined) return `issuer to be ${defect}`
  }
  const encoding = value.basic_encoding
  if (encoding !== undefined && encoding !== 'form' && encoding !== 'raw') return `basic_encoding to be 'form' or 'raw'`
  const keyDefect = hasClientKey(value) ? clientKey(value) : undefined
  if (keyDefect !== undefined) return keyDefect
  return value.redirect_uris === undefined ? undefined : clientMetadata({ redirect_uris: value.redirect_uris })
}

/** Reads the key, which throws for one that cannot sign. */
const clientKey: Check = (value) => {
  if (!isRecord(value) || !hasClientKey(value)) return 'an object with a private_key or a client_assertion'
  for (const name of ['kid', 'assertion_audience', 'token_endpoint_auth_signing_alg'] as const) {
    if (value[name] !== undefined && text(value[name]) !== undefined) return `${name} to be a non-empty string`
  }
  readClientKey(value)
  return undefined
}

const receiver: Check = (value) =>
  isRecord(value) && typeof value.open === 'function' ? undefined : 'a receiver such as loopbackReceiver()'

const grant: Check = (value) =>
  isRecord(value) && (value.kind === 'silent' || value.kind === 'interactive')
    ? undefined
    : 'a grant such as authorizationCode() or clientCredentials()'

const clientMetadataUrl: Check = (value) => {
  if (typeof value !== 'string') return 'an https URL'
  checkClientIdMetadataUrl(value)
  return undefined
}

const checks: Readonly<Record<keyof OAuthOptions, Check>> = {
  serverUrl,
  grant,
  clientMetadata,
  clientMetadataUrl,
  clientInformation,
  clientKey,
  storage: storageDefect,
  partition: text,
  redirectHandler: aFunction,
  callbackHandler: aFunction,
  receiver,
  timeout: milliseconds,
  requestTimeout: milliseconds,
  scope,
  scopeCeiling: scope,
  stepUp: oneOf('auto', 'throw', 'off'),
  issuer,
  authorizationServerMetadata: (value) => (isRecord(value) ? undefined : 'a metadata object (RFC 8414)'),
  selectAuthorizationServer: aFunction,
  resource: (value) =>
    value === false || (typeof value === 'string' && (value === 'auto' || URL.canParse(value)))
      ? undefined
      : `'auto', an absolute URL or false`,
  resourceMatch: oneOf('parent', 'exact'),
  authorizeParams: parameters,
  tokenParams: parameters,
  dpop: dpopDefect,
  clientAuthentication: aFunction,
  origins: listOf((value) => serverUrl(value), 'https URLs'),
  legacy: oneOf('auto', 'off'),
  trustedIssuers: listOf(text, 'issuers'),
  assumePkceSupport: listOf(text, 'issuers'),
  trustedEndpoints: listOf(text, 'URLs'),
  allowPrivateAddresses: aBoolean,
  initialAccessToken: (value) =>
    typeof value === 'function' ? undefined : text(value) && 'a non-empty string or a function',
  clockTolerance: milliseconds,
  metadataMaxAge: milliseconds,
  isUnauthorized: aFunction,
  transformTokenResponse: aFunction,
  now: aFunction,
  random: aFunction,
}

/**
 * Checks every option that is given, own properties only, and gives a copy without prototype. Throws a TypeError that
 * names the option, what was expected and what came.
 */
export function checkOptions(options: unknown): OAuthOptions {
  if (!isRecord(options)) throw new TypeError(`axios-oauth2: options must be an object, not ${shown(options)}.`)
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const check = Object.hasOwn(checks, name) ? checks[name as keyof OAuthOptions] : undefined
    if (check === undefined) throw new TypeError(`axios-oauth2: there is no option \`${name}\`${suggestion(name)}.`)
    const expected = check(value)
    if (expected !== undefined) {
      throw new TypeError(`axios-oauth2: option \`${name}\` must be ${expected}, not ${shown(value, name)}.`)
    }
    copy[name] = value
  }
  return copy
}

function suggestion(name: string): string {
  const plain = name.replace(/[^a-z]/gi, '').toLowerCase()
  const near = Object.keys(checks).find((known) => known.toLowerCase() === plain)
  return near === undefined ? '' : `; did you mean \`${near}\``
}

/** What came, for a message: the type, and the value where it can hold no secret. */
function shown(value: unknown, name = ''): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return String(value)
  if (Array.isArray(value)) return 'this array'
  if (typeof value !== 'string') return typeof value === 'object' ? 'this object' : `a ${typeof value}`
  if (value === '') return 'an empty string'
  const secret = ['initialAccessToken', 'clientInformation', 'clientKey'].includes(name) || /[@?]/.test(value)
  return secret ? 'this string' : JSON.stringify(value.slice(0, 100))
}

import { checkOptions } from './option-checks'
import { isLoopbackUrl } from './protocol/endpoint'
import { isUsableIssuer } from './protocol/issuer'
import { isPrivateAddress } from './protocol/address'
import { parseAuthorizationServerMetadata, type AuthorizationServerMetadata } from './protocol/metadata'
import { parseJsonObject } from './protocol/json'
import { MemoryTokenStorage } from './storage/memory'
import type { Grant } from './grants/grant'
import type { OAuthOptions } from './options'

const minute = 60_000

type Defaulted =
  | 'serverUrl'
  | 'grant'
  | 'storage'
  | 'timeout'
  | 'requestTimeout'
  | 'stepUp'
  | 'resourceMatch'
  | 'legacy'
  | 'clockTolerance'
  | 'metadataMaxAge'
  | 'now'
  | 'random'
  | 'clientMetadata'
  | 'authorizeParams'
  | 'tokenParams'
  | 'origins'
  | 'trustedIssuers'
  | 'assumePkceSupport'
  | 'trustedEndpoints'

/** The options after validation, with their defaults. */
export type Settings = Omit<OAuthOptions, Defaulted> &
  Required<Pick<OAuthOptions, Defaulted>> & {
    /** The server is on a loopback host: http on loopback is allowed for what it names. */
    readonly loopback: boolean
    /** What servers name must not lead to private addresses (THREATS D14). */
    readonly publicOnly: boolean
    /** The configured issuer, from whichever option. */
    readonly pinnedIssuer: string | undefined
  }

/** Validates options once, eagerly; `grant` is the default grant. Throws a TypeError that says what to change. */
export function readSettings(options: OAuthOptions, defaultGrant: Grant): Settings {
  const checked = checkOptions(options)
  const { serverUrl } = checked
  if (serverUrl === undefined) {
    throw new TypeError('axios-oauth2: option `serverUrl` is needed where the axios instance has no baseURL.')
  }
  const grant = checked.grant ?? defaultGrant
  checkWaysToSignIn(checked, grant)
  checkIssuers(checked)
  if (checked.clientInformation !== undefined && checked.clientKey !== undefined) {
    throw new TypeError('axios-oauth2: the key of a pre-registered client belongs in `clientInformation`.')
  }
  const loopback = isLoopbackUrl(serverUrl)
  return withoutPrototype({
    ...defaults(),
    ...checked,
    serverUrl,
    grant,
    ...metadataOf(checked),
    loopback,
    publicOnly: checked.allowPrivateAddresses !== true && !isPrivateAddress(new URL(serverUrl).hostname),
    pinnedIssuer: checked.issuer ?? checked.clientInformation?.issuer ?? checked.authorizationServerMetadata?.issuer,
  })
}

/** A polluted `Object.prototype` must not supply options that nobody set. */
function withoutPrototype<T extends object>(members: T): T {
  return Object.freeze(Object.assign(Object.create(null) as T, members))
}

function defaults(): Omit<Required<Pick<OAuthOptions, Defaulted>>, 'serverUrl' | 'grant'> {
  return {
    storage: new MemoryTokenStorage(),
    timeout: 5 * minute,
    requestTimeout: 10_000,
    stepUp: 'auto',
    resourceMatch: 'parent',
    legacy: 'auto',
    clockTolerance: 0,
    metadataMaxAge: 24 * 60 * minute,
    now: Date.now,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    clientMetadata: {},
    authorizeParams: {},
    tokenParams: {},
    origins: [],
    trustedIssuers: [],
    assumePkceSupport: [],
    trustedEndpoints: [],
  }
}

/** A configured document passes the same checks as a fetched one. */
function metadataOf({ authorizationServerMetadata }: OAuthOptions): {
  authorizationServerMetadata?: AuthorizationServerMetadata
} {
  if (authorizationServerMetadata === undefined) return {}
  const document = parseJsonObject(authorizationServerMetadata)
  try {
    return {
      authorizationServerMetadata: parseAuthorizationServerMetadata(
        document ?? {},
        'option `authorizationServerMetadata`',
      ),
    }
  } catch (error) {
    throw new TypeError(`axios-oauth2: option \`authorizationServerMetadata\`: ${(error as Error).message}`)
  }
}

function checkWaysToSignIn(options: OAuthOptions, grant: Grant): void {
  const { receiver, redirectHandler, callbackHandler, clientMetadata, clientInformation } = options
  if (receiver !== undefined && (redirectHandler !== undefined || callbackHandler !== undefined)) {
    throw new TypeError(
      'axios-oauth2: give either `receiver` or the two handlers `redirectHandler` and `callbackHandler`.',
    )
  }
  if (callbackHandler !== undefined && redirectHandler === undefined) {
    throw new TypeError('axios-oauth2: `callbackHandler` needs a `redirectHandler` that shows the authorization URL.')
  }
  if (grant.name !== 'authorization_code' || receiver !== undefined) return
  const uris = clientMetadata?.redirect_uris ?? clientInformation?.redirect_uris ?? []
  if (uris.length === 0) {
    throw new TypeError(
      'axios-oauth2: signing in needs a redirect URI: set `clientMetadata.redirect_uris`, or a `receiver` such as loopbackReceiver() of axios-oauth2/node.',
    )
  }
}

function checkIssuers({ issuer, clientInformation, authorizationServerMetadata }: OAuthOptions): void {
  const named = [issuer, clientInformation?.issuer, authorizationServerMetadata?.issuer].filter(
    (name) => name !== undefined,
  )
  const [unusable] = named.filter((name) => !isUsableIssuer(name, true))
  if (unusable !== undefined) {
    throw new TypeError('axios-oauth2: an issuer must be an https URL without query and fragment (http on loopback).')
  }
  if (new Set(named).size > 1) {
    throw new TypeError(`axios-oauth2: the options name several issuers: ${named.join(', ')}.`)
  }
}

import * as z from 'zod/mini'
import { OAuthRegistrationError, endpointOf, quote } from '../errors'
import { definedMembers, sameRedirectUri } from './client-metadata'
import type { JsonObject } from './json'
import { lenient, list, text } from './lenient'

export { chooseAuthenticationMethod } from './authentication-method'
export {
  applicationType,
  checkClientIdMetadataUrl,
  checkRedirectUri,
  clientIdMetadataDocument,
  sameRedirectUri,
  type ClientMetadata,
} from './client-metadata'
export { buildRegistration, reduceRegistration, type ReducedRegistration } from './registration-request'

/** What a server answered to a registration (RFC 7591 §3.2.1). */
export interface RegisteredClient {
  readonly client_id: string
  readonly client_secret?: string
  /** Seconds since the epoch; 0 or absent: it does not expire. */
  readonly client_secret_expires_at?: number
  readonly token_endpoint_auth_method?: string
  readonly redirect_uris?: readonly string[]
  readonly grant_types?: readonly string[]
  readonly scope?: string
  readonly [member: string]: unknown
}

const nonEmptyList = lenient(list.check(z.minLength(1)))
const line = lenient(text)
/** Some servers write numbers as text. */
const seconds = lenient(
  z.pipe(
    z.union([z.number(), z.string().check(z.regex(/^\d{1,15}$/))]),
    z.transform((value: number | string) => Number(value)),
  ),
)

/**
 * Only what a client acts on is taken over: a wire member named like one of ours, such as `issuer`, must not choose
 * what the client is bound to, and nothing follows `registration_client_uri`.
 */
const registeredClient = z.object({
  client_id: text.check(z.regex(/^\P{Cc}*$/u)),
  client_secret: line,
  client_id_issued_at: seconds,
  client_secret_expires_at: seconds,
  token_endpoint_auth_method: line,
  redirect_uris: nonEmptyList,
  grant_types: nonEmptyList,
  response_types: nonEmptyList,
  application_type: line,
  client_name: line,
  scope: line,
})

/**
 * Reads the answer to a registration. `redirectUri` is the one in use, `supportedMethods` are the authentication
 * methods that this client can do. Throws `OAUTH_REGISTRATION_FAILED` for an answer without a usable client id, with
 * other redirect URIs, with a method that cannot be done, or without the secret that its method needs.
 */
export function parseRegistration(
  document: JsonObject,
  o: {
    readonly endpoint: string
    readonly redirectUri?: string | undefined
    readonly supportedMethods: readonly string[]
    /** What counts where the answer names no method. */
    readonly requestedMethod?: string | undefined
  },
): RegisteredClient {
  const { data } = registeredClient.safeParse(document)
  if (data === undefined) throw refusal(o.endpoint, 'it has no `client_id` that is a non-empty text')
  const client = definedMembers(data) as RegisteredClient
  const { redirect_uris: uris, token_endpoint_auth_method: method = o.requestedMethod } = client
  const { redirectUri } = o
  if (uris !== undefined && redirectUri !== undefined && !uris.some((uri) => sameRedirectUri(uri, redirectUri))) {
    throw refusal(o.endpoint, `its \`redirect_uris\` do not contain ${quote(redirectUri)}`)
  }
  if (method !== undefined && !o.supportedMethods.includes(method)) {
    throw refusal(o.endpoint, `it demands the authentication method ${quote(method)}, which this client cannot do`)
  }
  if (method?.startsWith('client_secret_') === true && client.client_secret === undefined) {
    throw refusal(o.endpoint, `it demands the authentication method ${quote(method)} and has no \`client_secret\``)
  }
  return client
}

/** Whether the client's secret has expired at `now`, in milliseconds. A client without a secret has none to expire. */
export function isSecretExpired(
  client: {
    readonly client_secret?: string | undefined
    readonly client_secret_expires_at?: number | undefined
  },
  now: number,
): boolean {
  const { client_secret: secret, client_secret_expires_at: expiresAt = 0 } = client
  return secret !== undefined && expiresAt > 0 && now >= expiresAt * 1000
}

function refusal(endpoint: string, reason: string): OAuthRegistrationError {
  return new OAuthRegistrationError(
    `The registration at ${endpointOf(endpoint) ?? 'the server'} cannot be used: ${reason}.`,
    {
      code: 'OAUTH_REGISTRATION_FAILED',
      endpoint,
      hint: 'Register the client with the server beforehand and configure it as `clientInformation`.',
    },
  )
}

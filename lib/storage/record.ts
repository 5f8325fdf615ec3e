import * as z from 'zod/mini'
import { OAuthFlowError } from '../errors'
import type { ClientSource } from '../events'
import { sha256Base64url } from '../protocol/encoding'

/** The format of the records below. */
export const recordVersion: 1 = 1

/** Tokens as they are stored: the wire's members, and times in milliseconds since the epoch. */
export interface TokenSet {
  readonly access_token: string
  readonly token_type: 'Bearer' | 'DPoP'
  readonly refresh_token?: string | undefined
  readonly id_token?: string | undefined
  /** What was granted: the response's scope, or the requested one when the response has none. */
  readonly scope?: string | undefined
  /** When the token request was started. */
  readonly issuedAt: number
  readonly expiresAt?: number | undefined
  readonly refreshAt?: number | undefined
  readonly mandatoryAt?: number | undefined
  /** The DPoP key, by its thumbprint, of the request that earned them; a token of type DPoP is bound to it. */
  readonly dpop?: KeyReference | undefined
  /** What else the server said beside the tokens: members that no specification of ours knows, for the application. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/** Names a DPoP key by its JWK thumbprint (RFC 7638); private keys are stored nowhere. */
export interface KeyReference {
  readonly jkt: string
}

/** A client and how it came to be known. Of a configured client the secret is not stored. */
export interface KnownClient {
  readonly source: ClientSource
  readonly client_id: string
  readonly client_secret?: string | undefined
  readonly client_secret_expires_at?: number | undefined
  readonly token_endpoint_auth_method?: string | undefined
  readonly redirect_uris?: readonly string[] | undefined
  readonly grant_types?: readonly string[] | undefined
  /** Whether this client has ever led to a token. */
  readonly proven?: boolean | undefined
  /** Whether its server has called it unknown since. */
  readonly rejected?: boolean | undefined
}

/** One authorization server as discovered for one resource. */
export interface DiscoveredServer {
  readonly issuer: string
  /** The protected resource in the server's own spelling. */
  readonly resource: string
  /** The `resource` parameter to send; absent: none is sent. */
  readonly resourceParameter?: string | undefined
  readonly resourceMetadataUrl?: string | undefined
  /** The locations of resource metadata that a challenge announced when this was discovered. */
  readonly announced?: readonly string[] | undefined
  readonly protectedResource?: Readonly<Record<string, unknown>> | undefined
  readonly authorizationServer: Readonly<Record<string, unknown>>
  readonly legacy?: 'metadata' | 'endpoints' | undefined
  readonly discoveredAt: number
}

/** Everything about one grant: server, client and tokens, so that a credential only goes back to where it came from. */
export interface GrantRecord {
  readonly kind: 'grant'
  readonly version: typeof recordVersion
  /** Counts writes. */
  readonly revision: number
  readonly partition: string | null
  readonly server: DiscoveredServer
  readonly client: KnownClient
  readonly tokens?: TokenSet | undefined
  /** Everything that has been asked for in this grant, for the union of a step-up. */
  readonly requestedScope?: string | undefined
  /** SHA-256 of refresh tokens that the server has rejected; they are never posted again. */
  readonly deadRefreshTokens?: readonly string[] | undefined
  /** When the session ended for good; absent while it lives or has never begun. */
  readonly endedAt?: number | undefined
}

/** Names one grant of a session. */
export interface GrantReference {
  readonly issuer: string
  readonly resource: string
  readonly clientId: string
}

/** Names one transaction of a session. */
export interface TransactionReference {
  readonly id: string
  readonly expiresAt: number
  readonly used: boolean
  readonly clientId?: string | undefined
}

/** Through which a restart finds the session's grant and open transactions. */
export interface PointerRecord {
  readonly kind: 'pointer'
  readonly version: typeof recordVersion
  readonly revision: number
  readonly serverUrl: string
  readonly partition: string | null
  /** Newest first; the first is the one in use. */
  readonly grants: readonly GrantReference[]
  readonly transactions: readonly TransactionReference[]
  /** Where a static secret without configured issuer was first used (THREATS D11). */
  readonly pin?: { readonly issuer: string; readonly tokenEndpoint: string } | undefined
}

/** One authorization that waits for its callback. */
export interface TransactionRecord {
  readonly kind: 'transaction'
  readonly version: typeof recordVersion
  readonly serverUrl: string
  readonly partition: string | null
  readonly codeVerifier: string
  readonly server: DiscoveredServer
  readonly client: KnownClient
  readonly redirectUri: string
  readonly scope?: string | undefined
  /** The key that the code is bound to (RFC 9449 §10). */
  readonly dpop?: KeyReference | undefined
  readonly createdAt: number
  readonly expiresAt: number
}

const text = z.string()
const texts = z.array(text)
const time = z.number()
const document = z.record(text, z.unknown())

const keyReference = z.object({ jkt: text })

const tokenSchema: z.ZodMiniType<TokenSet> = z.object({
  access_token: text,
  token_type: z.enum(['Bearer', 'DPoP']),
  refresh_token: z.optional(text),
  id_token: z.optional(text),
  scope: z.optional(text),
  issuedAt: time,
  expiresAt: z.optional(time),
  refreshAt: z.optional(time),
  mandatoryAt: z.optional(time),
  dpop: z.optional(keyReference),
  extra: z.optional(document),
})

const clientSchema: z.ZodMiniType<KnownClient> = z.object({
  source: z.enum(['static', 'metadata-document', 'dynamic']),
  client_id: text,
  client_secret: z.optional(text),
  client_secret_expires_at: z.optional(time),
  token_endpoint_auth_method: z.optional(text),
  redirect_uris: z.optional(texts),
  grant_types: z.optional(texts),
  proven: z.optional(z.boolean()),
  rejected: z.optional(z.boolean()),
})

const serverSchema: z.ZodMiniType<DiscoveredServer> = z.object({
  issuer: text,
  resource: text,
  resourceParameter: z.optional(text),
  resourceMetadataUrl: z.optional(text),
  announced: z.optional(texts),
  protectedResource: z.optional(document),
  authorizationServer: document,
  legacy: z.optional(z.enum(['metadata', 'endpoints'])),
  discoveredAt: time,
})

const grantSchema: z.ZodMiniType<GrantRecord> = z.object({
  kind: z.literal('grant'),
  version: z.literal(recordVersion),
  revision: z.number(),
  partition: z.nullable(text),
  server: serverSchema,
  client: clientSchema,
  tokens: z.optional(tokenSchema),
  requestedScope: z.optional(text),
  deadRefreshTokens: z.optional(texts),
  endedAt: z.optional(time),
})

const pointerSchema: z.ZodMiniType<PointerRecord> = z.object({
  kind: z.literal('pointer'),
  version: z.literal(recordVersion),
  revision: z.number(),
  serverUrl: text,
  partition: z.nullable(text),
  grants: z.array(z.object({ issuer: text, resource: text, clientId: text })),
  transactions: z.array(z.object({ id: text, expiresAt: time, used: z.boolean(), clientId: z.optional(text) })),
  pin: z.optional(z.object({ issuer: text, tokenEndpoint: text })),
})

const transactionSchema: z.ZodMiniType<TransactionRecord> = z.object({
  kind: z.literal('transaction'),
  version: z.literal(recordVersion),
  serverUrl: text,
  partition: z.nullable(text),
  codeVerifier: text,
  server: serverSchema,
  client: clientSchema,
  redirectUri: text,
  scope: z.optional(text),
  dpop: z.optional(keyReference),
  createdAt: time,
  expiresAt: time,
})

/** Which record is meant where, and how it is read. */
export interface RecordKind<R> {
  readonly name: 'grant' | 'pointer' | 'transaction'
  parse(value: unknown): R | undefined
}

/** A reader that gives undefined for what does not fit the schema. */
function kind<R>(name: RecordKind<R>['name'], schema: z.ZodMiniType<R>): RecordKind<R> {
  return { name, parse: (value) => z.safeParse(schema, value).data }
}

export const grantKind: RecordKind<GrantRecord> = kind('grant', grantSchema)
export const pointerKind: RecordKind<PointerRecord> = kind('pointer', pointerSchema)
export const transactionKind: RecordKind<TransactionRecord> = kind('transaction', transactionSchema)

/**
 * Reads a stored value. Throws `OAUTH_STORE_CORRUPT` for one that is no record of this kind and version: it is left
 * where it is, and its text is in no message.
 */
export function parseRecord<R>(value: string, recordKind: RecordKind<R>): R {
  const record = recordKind.parse(parseJson(value))
  if (record !== undefined) return record
  throw new OAuthFlowError(
    `The stored ${recordKind.name} record cannot be read: it is damaged or of an unknown version.`,
    {
      code: 'OAUTH_STORE_CORRUPT',
      phase: 'storage',
      hint: 'Remove the record from the storage to sign in anew, or update axios-oauth2 if a newer version wrote it.',
    },
  )
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

/** The key of a grant record: SHA-256 over the JSON array, so that no two lists of parts collide. */
export function grantKey(o: {
  issuer: string
  resource: string
  clientId: string
  partition: string | null
}): Promise<string> {
  return sha256Base64url(JSON.stringify([canonicalIssuer(o.issuer), o.resource, o.clientId, o.partition]))
}

/** The key of the pointer record through which a restart finds its grant. */
export function pointerKey(o: {
  serverUrl: string
  partition: string | null
  issuer: string | null
  client: string | null
}): Promise<string> {
  return sha256Base64url(JSON.stringify([o.serverUrl, o.partition, o.issuer, o.client]))
}

/** The key of a transaction: the digest of its state, so that a listing of keys redeems nothing. */
export function transactionKey(state: string): Promise<string> {
  return sha256Base64url(state)
}

/** The issuer with and without a lone `/` as path is one server for stored records. */
function canonicalIssuer(issuer: string): string {
  return /^https?:\/\/[^/?#]+\/$/i.test(issuer) ? issuer.slice(0, -1) : issuer
}

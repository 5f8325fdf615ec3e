import * as z from 'zod/mini'
import { OAuthFlowError } from '../errors'
import type { ClientSource } from '../events'
import { sha256Base64url } from '../protocol/encoding'

/** The format of the records below. */
export const recordVersion = 1

const text = z.string()
const texts = z.array(text)
const time = z.number()
const document = z.record(text, z.unknown())

const tokenSchema = z.object({
  access_token: text,
  token_type: z.enum(['Bearer', 'DPoP']),
  refresh_token: z.optional(text),
  id_token: z.optional(text),
  /** What was granted: the response's scope, or the requested one when the response has none. */
  scope: z.optional(text),
  /** Times in milliseconds since the epoch. */
  issuedAt: time,
  expiresAt: z.optional(time),
  refreshAt: z.optional(time),
  mandatoryAt: z.optional(time),
})

const clientSchema = z.object({
  source: z.enum(['static', 'metadata-document', 'dynamic']),
  client_id: text,
  client_secret: z.optional(text),
  client_secret_expires_at: z.optional(time),
  token_endpoint_auth_method: z.optional(text),
  redirect_uris: z.optional(texts),
  grant_types: z.optional(texts),
  /** Whether this client has ever led to a token. */
  proven: z.optional(z.boolean()),
})

const discoverySchema = z.object({
  issuer: text,
  /** The protected resource in the server's own spelling. */
  resource: text,
  /** The `resource` parameter to send; absent: none is sent. */
  resourceParameter: z.optional(text),
  resourceMetadataUrl: z.optional(text),
  protectedResource: z.optional(document),
  authorizationServer: document,
  legacy: z.optional(z.enum(['metadata', 'endpoints'])),
  discoveredAt: time,
})

const grantSchema = z.object({
  kind: z.literal('grant'),
  version: z.literal(recordVersion),
  revision: z.number(),
  partition: z.nullable(text),
  server: discoverySchema,
  client: clientSchema,
  tokens: z.optional(tokenSchema),
  /** Everything that has been asked for in this grant, for the union of a step-up. */
  requestedScope: z.optional(text),
  /** SHA-256 of refresh tokens that the server has rejected; they are never posted again. */
  deadRefreshTokens: z.optional(texts),
  /** When the session ended for good, in milliseconds since the epoch; absent while it lives or has never begun. */
  endedAt: z.optional(time),
})

const pointerSchema = z.object({
  kind: z.literal('pointer'),
  version: z.literal(recordVersion),
  revision: z.number(),
  serverUrl: text,
  partition: z.nullable(text),
  /** Newest first; the first is the one in use. */
  grants: z.array(z.object({ issuer: text, resource: text, clientId: text })),
  transactions: z.array(z.object({ id: text, expiresAt: time, used: z.boolean() })),
  /** Where a static secret without configured issuer was first used (THREATS D11). */
  pin: z.optional(z.object({ issuer: text, tokenEndpoint: text })),
})

const transactionSchema = z.object({
  kind: z.literal('transaction'),
  version: z.literal(recordVersion),
  serverUrl: text,
  partition: z.nullable(text),
  codeVerifier: text,
  server: discoverySchema,
  client: clientSchema,
  redirectUri: text,
  scope: z.optional(text),
  createdAt: time,
  expiresAt: time,
})

/** Tokens as they are stored: the wire's members and absolute times in milliseconds. */
export type TokenSet = z.infer<typeof tokenSchema>
/** A client and how it came to be known. */
export type KnownClient = z.infer<typeof clientSchema> & { readonly source: ClientSource }
/** One authorization server as discovered for one resource. */
export type DiscoveredServer = z.infer<typeof discoverySchema>
export type GrantRecord = z.infer<typeof grantSchema>
export type PointerRecord = z.infer<typeof pointerSchema>
export type TransactionRecord = z.infer<typeof transactionSchema>

/** Which record is meant where, and how it is read. */
export interface RecordKind<R> {
  readonly name: 'grant' | 'pointer' | 'transaction'
  parse(value: unknown): R | undefined
}

/** A reader that gives undefined for what does not fit the schema. */
function kind<R>(name: RecordKind<R>['name'], schema: { safeParse(value: unknown): { data?: R } }): RecordKind<R> {
  return { name, parse: (value) => schema.safeParse(value).data }
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

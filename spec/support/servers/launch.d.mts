export type ServerName = 'oidc-provider' | 'protected-api' | 'mcp-server' | 'mcp-sdk-auth-server'

/** One request as a server saw it. Values of secret parameters are never in it, only their names. */
export interface JournalEntry {
  readonly n: number
  /** Arrival, in milliseconds since the epoch: comparable between servers. */
  readonly at: number
  /** Milliseconds until the response was over; absent while it is open. */
  readonly duration?: number
  readonly open?: true
  readonly method: string
  readonly path: string
  /** 0 where nothing was answered; absent while the request is open. */
  readonly status?: number
  /** Lost on purpose: before the server acted, or after. */
  readonly lost?: 'request' | 'answer'
  /** Names of parameters and members. */
  readonly query?: readonly string[]
  readonly form?: readonly string[]
  readonly json?: readonly string[]
  /** Values of the public ones: grant_type, resource, scope, client_id … */
  readonly values?: Readonly<Record<string, unknown>>
  readonly contentType?: string
  /** The scheme of the Authorization header. */
  readonly authorization?: string
  /** The first 12 hex digits of the SHA-256 of the access token. */
  readonly token?: string
  readonly dpop?: true
  /** JSON-RPC method, and the tool of a `tools/call`. */
  readonly rpc?: string
  readonly tool?: string
  /** The `error` member of the answer, and its WWW-Authenticate header. */
  readonly error?: string
  readonly challenge?: string
  /** What a token endpoint granted. */
  readonly issued?: {
    readonly scope?: string
    readonly expires_in?: number
    readonly token_type: string
    readonly refresh: boolean
  }
}

/** Counts of an authorization server since the last reset; `{}` elsewhere. */
export interface Counters {
  /** By grant type. */
  readonly tokenRequests: Readonly<Record<string, number>>
  /** Those answered with 200. */
  readonly tokensIssued: Readonly<Record<string, number>>
  readonly authorizationRequests: number
  readonly registrations: number
  readonly revocationRequests: number
  readonly reuseDetected: number
  readonly grantsRevoked: number
}

export interface Fault {
  readonly path: string
  readonly method?: string
  /**
   * `respond` instead of the server; `drop` before it acts; `drop-response` after it has acted; `hold` before it acts
   * and `hold-response` after, until {@link Control.release}.
   */
  readonly kind: 'respond' | 'drop' | 'drop-response' | 'hold' | 'hold-response'
  /** How many requests. Default 1. */
  readonly times?: number
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface Control {
  get(path: string): Promise<Record<string, unknown>>
  post(path: string, body?: unknown): Promise<Record<string, unknown>>
  journal(): Promise<JournalEntry[]>
  counters(): Promise<Counters>
  /** Empties the journal and the counters. */
  reset(): Promise<unknown>
  fault(order: Fault): Promise<unknown>
  /** Resolves once `count` requests are held at `path`. */
  held(path: string, count?: number): Promise<unknown>
  /** Lets held requests go on (of one path, or all) and orders no further holding there. */
  release(path?: string): Promise<unknown>
}

export interface RunningServer<Urls extends Record<string, string> = Record<string, string>> {
  readonly name: ServerName
  readonly pid: number
  readonly urls: Readonly<Urls>
  readonly control: Control
  stop(): Promise<void>
  /** What it wrote to stderr so far. */
  errors(): string
}

export interface ServerUrls {
  'oidc-provider': { issuer: string; control: string }
  'protected-api': { origin: string; resource: string; api: string; metadata: string; control: string }
  'mcp-server': { origin: string; resource: string; mcp: string; metadata: string; control: string }
  'mcp-sdk-auth-server': { origin: string; issuer: string; resource: string; mcp: string; control: string }
}

export interface Stack {
  readonly authorizationServer: RunningServer<ServerUrls['oidc-provider']>
  readonly api: RunningServer<ServerUrls['protected-api']>
  readonly mcp: RunningServer<ServerUrls['mcp-server']>
  stop(): Promise<void>
}

export interface StackFlags {
  readonly authorizationServer?: Readonly<Record<string, unknown>>
  readonly api?: Readonly<Record<string, unknown>> | false
  readonly mcp?: Readonly<Record<string, unknown>> | false
}

/** The flags and their defaults are at the top of each server's file. */
export function startServer<Name extends ServerName>(
  name: Name,
  flags?: Readonly<Record<string, unknown>>,
): Promise<RunningServer<ServerUrls[Name]>>

export function startStack(flags?: StackFlags): Promise<Stack>

/** How the world is. Everything is honest; the options choose among honest servers. */
export interface WorldOptions {
  /** Refresh tokens are replaced at every use. @default true */
  readonly rotation?: boolean
  /** A spent refresh token ends the whole session. @default true */
  readonly reuseDetection?: boolean
  /** Seconds; null: unsaid and unlimited. @default 3600 */
  readonly expiresIn?: number | null
  /** Refresh tokens are issued. @default true */
  readonly refresh?: boolean
  /** `scopes_supported` of the resource's metadata. @default unsaid */
  readonly scopesSupported?: readonly string[]
  /** `scopes_supported` of the authorization server, which refuses others. @default unsaid, any */
  readonly asScopesSupported?: readonly string[]
  /** Scope that every request to the API needs, and that the challenge names. */
  readonly requireScope?: string
  /** Path of the API. @default '/mcp' */
  readonly path?: string
  /** Path of the issuer. @default '' */
  readonly issuerPath?: string
  /** Sends `iss` (RFC 9207) and says so. @default true */
  readonly iss?: boolean
  /** @default none, client_secret_basic, client_secret_post */
  readonly authMethods?: readonly string[]
  /** Has dynamic registration. @default true */
  readonly registration?: boolean
  /** Takes Client ID Metadata Documents; it does not fetch them. @default false */
  readonly cimd?: boolean
  /** A server of MCP 2025-03-26, its own authorization server, with metadata or with fixed endpoints only. */
  readonly legacy?: 'metadata' | 'endpoints'
  /** Whether time stands still, and `world.clock` is the providers' clock. @default true */
  readonly clock?: boolean
}

type Optional = 'scopesSupported' | 'asScopesSupported' | 'requireScope' | 'legacy'

/** The options with their defaults, and the addresses that are known once the servers listen. */
export type WorldSettings = Required<Omit<WorldOptions, Optional>> &
  Pick<WorldOptions, Optional> & { serverUrl: string; issuer: string }

export function settingsOf(o: WorldOptions): WorldSettings {
  return {
    rotation: true,
    reuseDetection: true,
    expiresIn: 3600,
    refresh: true,
    path: '/mcp',
    issuerPath: '',
    iss: true,
    authMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    registration: true,
    cimd: false,
    clock: true,
    ...o,
    serverUrl: '',
    issuer: '',
  }
}

/** Splits a scope. */
export function scopes(scope: string | undefined): readonly string[] {
  return (scope ?? '').split(' ').filter((one) => one !== '')
}

export function covers(granted: string | undefined, wanted: string | undefined): boolean {
  return scopes(wanted).every((one) => scopes(granted).includes(one))
}

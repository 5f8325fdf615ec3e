import { randomBytes } from 'node:crypto'
import type { Clock } from './clock'
import type { Secrets } from './secrets'
import type { WorldSettings } from './settings'

/** What a person, or a client for itself, was granted. Its tokens live and die together. */
export interface GrantEntry {
  readonly clientId: string
  readonly scope: string | undefined
  readonly resource: string | undefined
  /** No refresh token of this grant works any more. */
  ended: boolean
}

export interface AccessToken {
  readonly value: string
  readonly grant: GrantEntry
  readonly scope: string | undefined
  readonly expiresAt: number
  revoked: boolean
}

export interface RefreshToken {
  readonly value: string
  readonly grant: GrantEntry
  spent: boolean
}

/** The tokens the authorization server issued, as the resource server may look them up. */
export class TokenBook {
  readonly #settings: WorldSettings
  readonly #clock: Clock
  readonly #secrets: Secrets
  readonly #access: AccessToken[] = []
  readonly #refresh: RefreshToken[] = []
  reuseDetections = 0

  constructor(settings: WorldSettings, clock: Clock, secrets: Secrets) {
    this.#settings = settings
    this.#clock = clock
    this.#secrets = secrets
  }

  /** A new secret text that says what it is. */
  mint(kind: string): string {
    return this.#secrets.add(`${kind}-${randomBytes(24).toString('hex')}`)
  }

  issueAccessToken(grant: GrantEntry, scope: string | undefined): AccessToken {
    const { expiresIn } = this.#settings
    const expiresAt = expiresIn === null ? Infinity : this.#clock.now() + expiresIn * 1000
    const token = { value: this.mint('access'), grant, scope, expiresAt, revoked: false }
    this.#access.push(token)
    return token
  }

  issueRefreshToken(grant: GrantEntry): RefreshToken {
    const token = { value: this.mint('refresh'), grant, spent: false }
    this.#refresh.push(token)
    return token
  }

  accessToken(value: string): AccessToken | undefined {
    return this.#access.find((token) => token.value === value && this.#isLive(token))
  }

  refreshToken(value: string): RefreshToken | undefined {
    return this.#refresh.find((token) => token.value === value)
  }

  /** The newest access token that the resource server accepts. */
  live(): AccessToken | undefined {
    return this.#access.filter((token) => this.#isLive(token)).at(-1)
  }

  revokeAccessToken(value: string): void {
    for (const token of this.#access) if (token.value === value) token.revoked = true
  }

  revokeAccessTokens(): void {
    for (const token of this.#access) token.revoked = true
  }

  /** Ends a grant with all its tokens. */
  revoke(grant: GrantEntry): void {
    grant.ended = true
    for (const token of this.#access) if (token.grant === grant) token.revoked = true
  }

  endSessions(): void {
    for (const { grant } of this.#refresh) grant.ended = true
  }

  #isLive({ revoked, expiresAt }: AccessToken): boolean {
    return !revoked && this.#clock.now() < expiresAt
  }
}

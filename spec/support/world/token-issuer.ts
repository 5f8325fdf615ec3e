import { createHash } from 'node:crypto'
import { Declined, type Client, type Clients } from './clients'
import type { Answer, Entry } from './entry'
import { covers, type WorldSettings } from './settings'
import type { GrantEntry, TokenBook } from './token-book'

interface Code {
  readonly value: string
  readonly redirectUri: string
  readonly challenge: string
  readonly grant: GrantEntry
  used: boolean
}

/** Token and revocation endpoint (RFC 6749 §5, RFC 7009) of the honest authorization server. */
export class TokenIssuer {
  readonly #settings: WorldSettings
  readonly #book: TokenBook
  readonly #clients: Clients
  readonly #codes = new Map<string, Code>()

  constructor(settings: WorldSettings, book: TokenBook, clients: Clients) {
    this.#settings = settings
    this.#book = book
    this.#clients = clients
  }

  issueCode({ client_id: clientId }: Client, parameters: URLSearchParams): string {
    const value = this.#book.mint('code')
    const grant = grantOf(clientId, parameters)
    const redirectUri = parameters.get('redirect_uri') ?? ''
    this.#codes.set(value, {
      value,
      grant,
      redirectUri,
      challenge: parameters.get('code_challenge') ?? '',
      used: false,
    })
    return value
  }

  token(entry: Entry): Answer {
    const { form } = entry
    if (form === undefined) throw new Declined('invalid_request', 'the body is no form')
    const names = [...form.keys()]
    if (new Set(names).size < names.length) throw new Declined('invalid_request', 'repeated parameter')
    const client = this.#clients.authenticate(entry)
    switch (form.get('grant_type')) {
      case 'authorization_code':
        return this.#redeem(form, client)
      case 'refresh_token':
        return this.#renew(form, client)
      case 'client_credentials':
        return this.#clientCredentials(form, client)
      default:
        throw new Declined('unsupported_grant_type', 'unknown grant type')
    }
  }

  /** A refresh token takes its whole grant with it; an unknown token is fine (RFC 7009 §2.2). */
  revoke(entry: Entry): Answer {
    const { client_id } = this.#clients.authenticate(entry)
    const value = entry.form?.get('token') ?? ''
    const refreshToken = this.#book.refreshToken(value)
    if (refreshToken?.grant.clientId === client_id) this.#book.revoke(refreshToken.grant)
    if (this.#book.accessToken(value)?.grant.clientId === client_id) this.#book.revokeAccessToken(value)
    return {}
  }

  #redeem(form: URLSearchParams, client: Client): Answer {
    const code = this.#codes.get(form.get('code') ?? '')
    if (code?.grant.clientId !== client.client_id) throw new Declined('invalid_grant', 'unknown code')
    if (code.used) {
      this.#book.revoke(code.grant)
      throw new Declined('invalid_grant', 'the code was used before')
    }
    code.used = true
    if (form.get('redirect_uri') !== code.redirectUri) throw new Declined('invalid_grant', 'another redirect_uri')
    const verifier = form.get('code_verifier') ?? ''
    if (createHash('sha256').update(verifier).digest('base64url') !== code.challenge) {
      throw new Declined('invalid_grant', 'the code_verifier does not match')
    }
    checkResource(form, code.grant)
    return this.#tokens(code.grant, code.grant.scope, this.#settings.refresh)
  }

  #renew(form: URLSearchParams, client: Client): Answer {
    if (!this.#settings.refresh) throw new Declined('unsupported_grant_type', 'no refresh tokens here')
    const token = this.#book.refreshToken(form.get('refresh_token') ?? '')
    if (token?.grant.clientId !== client.client_id) throw new Declined('invalid_grant', 'unknown refresh token')
    const { grant } = token
    if (token.spent) {
      this.#book.reuseDetections += 1
      if (this.#settings.reuseDetection) this.#book.revoke(grant)
      throw new Declined('invalid_grant', 'the refresh token was used before')
    }
    if (grant.ended) throw new Declined('invalid_grant', 'the session has ended')
    const scope = form.get('scope') ?? grant.scope
    if (!covers(grant.scope, scope)) throw new Declined('invalid_scope', 'more than was granted')
    checkResource(form, grant)
    token.spent = this.#settings.rotation
    return this.#tokens(grant, scope, this.#settings.rotation)
  }

  #clientCredentials(form: URLSearchParams, client: Client): Answer {
    if (client.client_secret === undefined) throw new Declined('unauthorized_client', 'a public client')
    const grant = grantOf(client.client_id, form)
    return this.#tokens(grant, grant.scope, false)
  }

  #tokens(grant: GrantEntry, scope: string | undefined, withRefreshToken: boolean): Answer {
    const { expiresIn } = this.#settings
    return {
      headers: { 'Cache-Control': 'no-store' },
      body: {
        access_token: this.#book.issueAccessToken(grant, scope).value,
        token_type: 'Bearer',
        ...(expiresIn === null ? {} : { expires_in: expiresIn }),
        ...(withRefreshToken ? { refresh_token: this.#book.issueRefreshToken(grant).value } : {}),
        ...(scope === undefined ? {} : { scope }),
      },
    }
  }
}

function grantOf(clientId: string, parameters: URLSearchParams): GrantEntry {
  const scope = parameters.get('scope') ?? undefined
  const resource = parameters.get('resource') ?? undefined
  return { clientId, scope, resource, ended: false }
}

function checkResource(form: URLSearchParams, { resource }: GrantEntry): void {
  const wanted = form.get('resource')
  if (wanted !== null && wanted !== resource) throw new Declined('invalid_target', 'another resource was granted')
}

import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose'
import { withMembers, type Answer, type Entry, type World } from './world'

/** A proof as a server saw it, after its signature was verified with `jose`. */
export interface SeenProof {
  readonly alg: string
  readonly jwk: Readonly<Record<string, unknown>>
  readonly jkt: string
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly iat: number
  readonly ath?: string
  readonly nonce?: string
}

/** What a DPoP server saw of one request; `scheme` is that of its `Authorization`. */
export interface Seen {
  readonly scheme: string | undefined
  readonly proof: SeenProof | undefined
}

export interface DpopFlags {
  /** The authorization server binds tokens to the key of a proof. @default true */
  readonly bind?: boolean
  /** The resource takes bound tokens only and says so in its metadata. @default false */
  readonly required?: boolean
  /** Algorithms that the authorization server lists; undefined: it does not say. @default ES256 */
  readonly algorithms?: readonly string[] | undefined
  /** Seconds that `iat` may be away from the server's clock. @default 60 */
  readonly window?: number
  /** The clock of both servers, ms since the epoch. @default the world's */
  readonly now?: () => number
}

/** Servers of a world that check proofs as RFC 9449 §4.3 says, and demand nonces when told to. */
export class DpopServers {
  /** Nonces in force; undefined: none is demanded. Every response carries the one in force. */
  nonce: { as?: string | undefined; rs?: string | undefined } = {}
  readonly atToken: Seen[] = []
  readonly atApi: Seen[] = []
  readonly #world: World
  readonly #flags: Required<Omit<DpopFlags, 'algorithms'>> & { algorithms: readonly string[] | undefined }
  readonly #boundTo = new Map<string, string>()
  readonly #jtis = new Set<string>()

  constructor(world: World, flags: DpopFlags = {}) {
    this.#world = world
    this.#flags = {
      bind: true,
      required: false,
      window: 60,
      now: world.clock.now,
      ...flags,
      algorithms: 'algorithms' in flags ? flags.algorithms : ['ES256'],
    }
    const { algorithms, required } = this.#flags
    world.answer('as-metadata', withMembers({ dpop_signing_alg_values_supported: algorithms }))
    if (required) world.answer('prm', withMembers({ dpop_bound_access_tokens_required: true }))
    world.answer('token', async (request, honest) => this.#stamped('as', await this.#token(request, honest)))
    world.answer('api', async (request, honest) => this.#stamped('rs', await this.#api(request, honest)))
  }

  async #token(request: Entry, honest: () => Promise<Answer>): Promise<Answer> {
    const checked = await this.#check(request, this.#world.origin.as)
    this.atToken.push({ scheme: undefined, proof: checked.proof })
    if (checked.defect !== undefined) return declined('invalid_dpop_proof', checked.defect)
    const { proof } = checked
    if (proof !== undefined && this.nonce.as !== undefined && proof.nonce !== this.nonce.as) {
      return declined('use_dpop_nonce', 'a nonce is needed')
    }
    const bound = this.#boundTo.get(request.form?.get('refresh_token') ?? '')
    if (bound !== undefined && bound !== proof?.jkt) return declined('invalid_grant', 'bound to another key')
    const answer = await honest()
    if (proof === undefined || !this.#flags.bind || (answer.status ?? 200) !== 200) return answer
    const body = answer.body as Record<string, string>
    for (const token of [body.access_token, body.refresh_token]) {
      if (token !== undefined) this.#boundTo.set(token, proof.jkt)
    }
    return { ...answer, body: { ...body, token_type: 'DPoP' } }
  }

  async #api(request: Entry, honest: () => Promise<Answer>): Promise<Answer> {
    const [scheme, token = ''] = request.headers.authorization?.split(' ') ?? []
    const checked = await this.#check(request, this.#world.origin.rs)
    this.atApi.push({ scheme, proof: checked.proof })
    const defect = scheme === undefined ? undefined : this.#defect(scheme, token, checked)
    if (defect !== undefined) return this.#challenge(defect)
    if (scheme === 'DPoP') request.headers.authorization = `Bearer ${token}`
    return this.#inScheme(await honest())
  }

  #defect(scheme: string, token: string, { proof, defect }: Checked): string | undefined {
    const bound = this.#boundTo.get(token)
    if (scheme !== 'DPoP') return bound === undefined && !this.#flags.required ? undefined : 'invalid_token'
    if (proof === undefined || defect !== undefined) return 'invalid_dpop_proof'
    if (proof.jkt !== bound || proof.ath !== createHash('sha256').update(token).digest('base64url')) {
      return 'invalid_dpop_proof'
    }
    return this.nonce.rs !== undefined && proof.nonce !== this.nonce.rs ? 'use_dpop_nonce' : undefined
  }

  #challenge(error: string): Answer {
    const metadata = `resource_metadata="${this.#world.origin.rs}/.well-known/oauth-protected-resource/mcp"`
    return { status: 401, headers: { 'WWW-Authenticate': `DPoP error="${error}", ${metadata}` }, body: 'refused' }
  }

  #inScheme(answer: Answer): Answer {
    const challenge = answer.headers?.['WWW-Authenticate']
    if (typeof challenge !== 'string' || !this.#flags.required) return answer
    return { ...answer, headers: { ...answer.headers, 'WWW-Authenticate': challenge.replace(/^Bearer/, 'DPoP') } }
  }

  #stamped(server: 'as' | 'rs', answer: Answer): Answer {
    const nonce = this.nonce[server]
    const date = new Date(this.#flags.now()).toUTCString()
    return {
      ...answer,
      headers: { Date: date, ...(nonce === undefined ? {} : { 'DPoP-Nonce': nonce }), ...answer.headers },
    }
  }

  async #check({ headers, method, url }: Entry, origin: string): Promise<Checked> {
    const { dpop } = headers
    if (typeof dpop !== 'string') return { proof: undefined, defect: undefined }
    const { payload, protectedHeader } = await jwtVerify(dpop, EmbeddedJWK, {
      typ: 'dpop+jwt',
      currentDate: new Date(this.#flags.now()),
    })
    const jwk = (protectedHeader.jwk ?? {}) as Record<string, string>
    const proof = {
      ...payload,
      alg: protectedHeader.alg,
      jwk,
      jkt: await calculateJwkThumbprint(jwk),
    } as never as SeenProof
    return { proof, defect: this.#defectOf(proof, method, origin + url.replace(/\?.*$/s, '')) }
  }

  #defectOf(proof: SeenProof, method: string, url: string): string | undefined {
    const { window, now } = this.#flags
    const wrong = [
      [proof.htm === method, 'htm'],
      [proof.htu === url, 'htu'],
      [!this.#jtis.has(proof.jti), 'jti'],
      [Math.abs(proof.iat - now() / 1000) <= window, 'iat'],
    ].find(([right]) => right === false)
    this.#jtis.add(proof.jti)
    return wrong?.[1] as string | undefined
  }
}

interface Checked {
  readonly proof: SeenProof | undefined
  readonly defect: string | undefined
}

function declined(error: string, description: string): Answer {
  return { status: 400, body: { error, error_description: description } }
}

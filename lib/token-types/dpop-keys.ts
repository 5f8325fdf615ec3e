import { metadataOf } from '../metadata/discovered-server'
import { dpopPolicy, keyPairAlgorithm, type DpopOptions } from '../dpop-option'
import { OAuthAuthorizationError, OAuthDiscoveryError, quote } from '../errors'
import { chooseProofAlgorithm } from '../protocol/dpop'
import { isJwsAlgorithm, type JwsAlgorithm } from '../protocol/jws'
import type { ProtectedResourceMetadata } from '../protocol/metadata'
import type { Settings } from '../settings'
import type { DiscoveredServer, TokenSet } from '../storage/record'
import { DpopKey } from './dpop-key'

/**
 * The keys of one provider: the configured one, or one per algorithm that is generated when it is first needed and lives
 * as long as the provider. Records name keys by their thumbprint; a private key is in none.
 */
export class DpopKeys {
  readonly #option: Settings['dpop']
  readonly #options: DpopOptions
  readonly #alg: JwsAlgorithm | undefined
  readonly #required: boolean
  readonly #here = new Map<string, DpopKey>()
  readonly #generated = new Map<JwsAlgorithm, Promise<DpopKey>>()
  #configured: Promise<DpopKey> | undefined

  constructor({ dpop }: Pick<Settings, 'dpop'>) {
    this.#option = dpop
    this.#options = typeof dpop === 'object' ? dpop : {}
    const { alg } = this.#options
    this.#alg = isJwsAlgorithm(alg) ? alg : undefined
    this.#required = dpop === 'required' || this.#options.required === true
  }

  /** Resolves when a configured key can be found by its thumbprint. Throws `OAUTH_DPOP_UNSUPPORTED` for one that is no pair. */
  async ready(): Promise<void> {
    await this.#configuredKey()
  }

  /** A key that is here. */
  at(jkt: string | undefined): DpopKey | undefined {
    return jkt === undefined ? undefined : this.#here.get(jkt)
  }

  /** Whether tokens can be used: they are bound to a key that is here, or to none where that is not demanded. */
  fit(tokens: TokenSet): boolean {
    return tokens.token_type === 'DPoP' ? !this.isElsewhere(tokens) : !this.#required
  }

  /** Whether the tokens are bound to a key that is not here. */
  isElsewhere({ token_type: type, dpop }: TokenSet): boolean {
    return type === 'DPoP' && this.at(dpop?.jkt) === undefined
  }

  /** Whether a token that is not bound to a key is refused. */
  isRequired(server: DiscoveredServer): boolean {
    return dpopPolicy(this.#option, server).required
  }

  /**
   * The key for requests to a server: the one that the grant is bound to, if it is here, else the one for new tokens;
   * undefined where DPoP is off. Throws `OAUTH_DPOP_UNSUPPORTED` when the server takes proofs of other algorithms only.
   */
  async keyFor(server: DiscoveredServer, boundTo?: string): Promise<DpopKey | undefined> {
    await this.ready()
    const bound = this.at(boundTo)
    if (bound !== undefined) return bound
    if (!dpopPolicy(this.#option, server).on) return undefined
    return (await this.#configuredKey(server)) ?? this.#generate(this.#algorithmFor(server))
  }

  /** Throws `OAUTH_DPOP_UNSUPPORTED` when the key that a sign-in was begun with is not here: its code is bound to it. */
  async demand(jkt: string | undefined, { issuer }: DiscoveredServer): Promise<void> {
    await this.ready()
    if (jkt === undefined || this.at(jkt) !== undefined) return
    throw new OAuthAuthorizationError('The sign-in was begun with a DPoP key that is not here.', {
      code: 'OAUTH_DPOP_UNSUPPORTED',
      endpoint: issuer,
      hint: 'Finish it with the provider that began it, or give all processes the same `dpop.keyPair`.',
    })
  }

  /**
   * Throws `OAUTH_DPOP_UNSUPPORTED` when a key is configured, which is then another than the session's: whoever changed it is told
   * so, and nobody is asked to sign in without notice. A generated key that is lost leads to a new sign-in.
   */
  refuseChange({ issuer }: DiscoveredServer): void {
    if (this.#options.keyPair === undefined) return
    throw new OAuthAuthorizationError('The session is bound to another DPoP key than the configured one.', {
      code: 'OAUTH_DPOP_UNSUPPORTED',
      endpoint: issuer,
      hint: 'Configure the former `dpop.keyPair` again, or call authorize() to sign in with the new one.',
    })
  }

  #algorithmFor(server: DiscoveredServer): JwsAlgorithm {
    const resource = server.protectedResource as ProtectedResourceMetadata | undefined
    const lists = { server: algorithmsOf(server), resource: resource?.dpop_signing_alg_values_supported }
    const alg = this.#alg ?? chooseProofAlgorithm(lists)
    if (alg === undefined) throw notAccepted('any algorithm of this library', server)
    return checkAccepted(alg, server)
  }

  async #configuredKey(server?: DiscoveredServer): Promise<DpopKey | undefined> {
    const { keyPair } = this.#options
    if (keyPair === undefined) return undefined
    this.#configured ??= this.#keep(DpopKey.given(keyPair, keyPairAlgorithm(keyPair, this.#alg)))
    const key = await this.#configured
    if (server !== undefined) checkAccepted(key.alg, server)
    return key
  }

  #generate(alg: JwsAlgorithm): Promise<DpopKey> {
    const key = this.#generated.get(alg) ?? this.#keep(DpopKey.generate(alg))
    this.#generated.set(alg, key)
    return key
  }

  async #keep(making: Promise<DpopKey>): Promise<DpopKey> {
    const key = await making
    this.#here.set(key.jkt, key)
    return key
  }
}

function algorithmsOf(server: DiscoveredServer): readonly string[] | undefined {
  return metadataOf(server).dpop_signing_alg_values_supported
}

function checkAccepted(alg: JwsAlgorithm, server: DiscoveredServer): JwsAlgorithm {
  if (algorithmsOf(server)?.includes(alg) !== false) return alg
  throw notAccepted(alg, server)
}

function notAccepted(what: string, server: DiscoveredServer): OAuthDiscoveryError {
  const listed = (algorithmsOf(server) ?? []).slice(0, 20).join(', ')
  return new OAuthDiscoveryError(`The server does not take DPoP proofs signed with ${what}, but ${quote(listed)}.`, {
    code: 'OAUTH_DPOP_UNSUPPORTED',
    endpoint: server.issuer,
    hint: 'Set `dpop.alg` or `dpop.keyPair` to what the server lists.',
  })
}

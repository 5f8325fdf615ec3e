import type { OAuthContext } from '../context'
import { endpointOf, isOAuthFlowError, type OAuthFlowError } from '../errors'
import type { Need } from '../need'
import { resolveResourceMetadata } from '../protocol/challenge'
import { checkEndpoint } from '../protocol/endpoint'
import type { DiscoveredServer } from '../storage/record'

/** Locations that challenges may announce; their number is the server's choice. */
const maxLocations = 5

/** Where the challenges of the resource said that its metadata is (RFC 9728 §5.1). */
export class AnnouncedLocations {
  readonly #context: OAuthContext
  #latest: readonly string[] | undefined

  constructor(context: OAuthContext) {
    this.#context = context
  }

  /** What was announced: a later challenge without location does not erase an earlier one, nor does a restart. */
  of({ refusal }: Need, known: DiscoveredServer | undefined): readonly string[] {
    const announced = (refusal?.resourceMetadata ?? []).flatMap(
      (value) => resolveResourceMetadata(value, refusal?.url ?? '') ?? [],
    )
    if (announced.length > 0) this.#latest = announced.slice(0, maxLocations)
    return this.#latest ?? known?.announced ?? []
  }

  /** Whether something else is announced than what is known was read from. */
  differ(known: DiscoveredServer, need: Need): boolean {
    const announced = this.of(need, known)
    if (announced.length === 0) return false
    const { resourceMetadataUrl: read, announced: before = read === undefined ? [] : [read] } = known
    return announced.join(' ') !== before.join(' ')
  }

  /** A forbidden location is never contacted; the well-known ones are tried in its place (THREATS D2). */
  allowed(announced: readonly string[]): {
    readonly allowed: readonly string[]
    readonly refused: OAuthFlowError | undefined
  } {
    const { loopback, publicOnly, serverUrl } = this.#context.settings
    const allowed: string[] = []
    let refused: OAuthFlowError | undefined
    for (const url of announced) {
      try {
        allowed.push(checkEndpoint(url, { name: 'resource_metadata', loopback, publicOnly }))
      } catch (error) {
        if (!isOAuthFlowError(error)) throw error
        refused ??= error
        const told = { origin: new URL(serverUrl).origin, duration: 0, endpoint: endpointOf(url), code: error.code }
        this.#context.events.emit('urlRefused', told)
      }
    }
    return { allowed, refused }
  }
}

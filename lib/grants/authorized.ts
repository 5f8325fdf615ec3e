import type { OAuthContext } from '../context'
import { parseScope } from '../protocol/scope'
import type { DiscoveredServer, TokenSet } from '../storage/record'

/** Tells listeners that tokens were earned and stored. */
export function emitAuthorized(
  { events, settings }: Pick<OAuthContext, 'events' | 'settings'>,
  o: {
    readonly server: DiscoveredServer
    readonly scope: string | undefined
    readonly tokens: TokenSet
    readonly refreshable: boolean
    readonly startedAt: number
  },
): void {
  const { server, tokens, refreshable } = o
  const asked = parseScope(o.scope)
  events.emit('authorized', {
    origin: new URL(server.issuer).origin,
    duration: settings.now() - o.startedAt,
    issuer: server.issuer,
    scope: tokens.scope,
    expiresAt: tokens.expiresAt,
    refreshable,
    unasked: parseScope(tokens.scope).filter((name) => !asked.includes(name)),
  })
}

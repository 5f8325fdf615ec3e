import { withDeadline } from '../deadline'
import type { Lease } from '../lease'
import type { Need } from '../need'
import { parseScope } from '../protocol/scope'
import { scopeToRequest } from '../sign-in-scope'
import type { TokenSet } from '../storage/record'
import type { Verbs } from '../verbs'
import type { SilentGrant } from './grant'

/** Earns tokens by a silent grant: discovers, identifies the client, presents the grant and stores the tokens. */
export async function presentGrant(verbs: Verbs, lease: Lease, grant: SilentGrant, need: Need): Promise<TokenSet> {
  const { context, discovery, registrar, tokenEndpoint } = verbs
  const { settings, events } = context
  const startedAt = settings.now()
  const server = await discovery.discover(lease, need)
  const scope = scopeToRequest(settings, need, server, lease.tokens.grant)
  const client = await registrar.register(lease, { server, scope, interactive: false })
  const parameters = await withDeadline(
    () => grant.parameters({ server, client, scope }),
    settings.requestTimeout,
    `waiting for the parameters of the grant ${grant.name}`,
  )
  const obtained = await tokenEndpoint.request({
    server,
    client,
    parameters: { ...parameters, ...(scope === undefined ? {} : { scope }) },
    requestedScope: scope,
  })
  // RFC 6749 §4.4.3: a refresh token that comes all the same is neither stored nor used.
  const { refresh_token: _unused, ...tokens } = obtained
  const stored = await lease.tokens.save({ server, client, tokens, requestedScope: scope })
  const asked = parseScope(scope)
  events.emit('authorized', {
    origin: new URL(server.issuer).origin,
    duration: settings.now() - startedAt,
    issuer: server.issuer,
    scope: stored.scope,
    expiresAt: stored.expiresAt,
    refreshable: true,
    unasked: parseScope(stored.scope).filter((name) => !asked.includes(name)),
  })
  return stored
}

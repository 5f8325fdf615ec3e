import { metadataOf } from '../metadata/discovered-server'
import type { Need } from '../need'
import type { ProtectedResourceMetadata } from '../protocol/metadata'
import { checkScope, selectScope, unionScope } from '../protocol/scope'
import type { Settings } from '../settings'
import type { DiscoveredServer, GrantRecord } from '../storage/record'

/**
 * The scope to ask for at a server (MCP 2026-07-28, Scope Selection Strategy): a widening asks for everything asked for
 * or granted before as well, a sign-in from nothing does not. Throws `OAUTH_SCOPE_DENIED` beyond the ceiling.
 */
export function scopeToRequest(
  settings: Settings,
  need: Need,
  server: DiscoveredServer,
  grant: GrantRecord | undefined,
): string | undefined {
  const challenged = need.refusal?.scope
  const supported = (server.protectedResource as ProtectedResourceMetadata | undefined)?.scopes_supported
  const widening = need.scope === undefined ? undefined : unionScope(grant?.requestedScope, grant?.tokens?.scope)
  const { scope: configured, scopeCeiling: ceiling } = settings
  return selectScope({
    ...(challenged === undefined ? {} : { challenged: checkScope(challenged, 'the challenge') }),
    ...(configured === undefined ? {} : { configured }),
    ...(supported === undefined ? {} : { supported }),
    ...(need.scope === undefined ? {} : { requested: need.scope }),
    ...(widening === undefined ? {} : { granted: widening }),
    ...(ceiling === undefined ? {} : { ceiling }),
    offlineAccess: mayHaveOfflineAccess(settings, server),
  })
}

/** `offline_access` is asked for where the server lists it and the client may refresh (MCP 2026-07-28, Refresh Tokens). */
function mayHaveOfflineAccess(
  { clientInformation, clientMetadata, grant }: Settings,
  server: DiscoveredServer,
): boolean {
  if (grant.kind === 'silent' || clientInformation !== undefined) return false
  const grantTypes = clientMetadata.grant_types
  if (grantTypes !== undefined && !grantTypes.includes('refresh_token')) return false
  return metadataOf(server).scopes_supported?.includes('offline_access') ?? false
}

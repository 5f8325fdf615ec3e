import { OAuthDiscoveryError, OAuthScopeError, quote } from '../errors'

/** Everything that has a say in which scope is asked for; each a list of scope tokens separated by spaces. */
export interface ScopeSources {
  /** The `scope` of the resource's challenge (RFC 6750 §3). */
  readonly challenged?: string | undefined
  /** The `scope` of the configuration. */
  readonly configured?: string | undefined
  /** The `scopes_supported` of the protected-resource metadata; never those of the authorization server. */
  readonly supported?: readonly string[] | undefined
  /** The scope that one request or one call asks for. */
  readonly requested?: string | undefined
  /** What was requested and granted before, and must not be lost. */
  readonly granted?: string | undefined
  /** The most that may ever be asked for; undefined for no limit. */
  readonly ceiling?: string | undefined
  /** Whether the authorization server lists `offline_access` and the client may refresh. Default false. */
  readonly offlineAccess?: boolean | undefined
}

const offlineAccess = 'offline_access'
const maxTokens = 100
const maxLength = 4096

/**
 * Reads a scope (RFC 6749 §3.3) as the list of its distinct tokens in their order. Commas separate too, as Slack
 * writes them; what is no text has no tokens.
 */
export function parseScope(scope: unknown): readonly string[] {
  if (typeof scope !== 'string') return []
  return [...new Set(scope.split(/[\s,]/).filter((token) => token !== ''))]
}

/** Writes a list of tokens as a scope, each once; undefined for an empty list, since an empty `scope` is never sent. */
export function formatScope(list: readonly string[]): string | undefined {
  return list.length === 0 ? undefined : [...new Set(list)].join(' ')
}

/** The tokens of all scopes, each once, in the order of their first appearance. */
export function unionScope(...scopes: readonly (string | undefined)[]): string | undefined {
  return formatScope(scopes.flatMap(parseScope))
}

/** Whether every wanted token was granted. */
export function coversScope(granted: string | undefined, wanted: string | undefined): boolean {
  return missingScope(granted, wanted) === undefined
}

/** The wanted tokens that were not granted; undefined when there are none. */
export function missingScope(granted: string | undefined, wanted: string | undefined): string | undefined {
  const held = new Set(parseScope(granted))
  return formatScope(parseScope(wanted).filter((token) => !held.has(token)))
}

/**
 * Answers a scope that a server sent if it can be asked for: the characters of RFC 6749 §3.3, at most 100 tokens and
 * 4 KB. Throws {@link OAuthDiscoveryError} `OAUTH_METADATA_INVALID` that names the source, such as `challenge`.
 */
export function checkScope(scope: string, source: string): string {
  const flaw = flawOf(scope)
  if (flaw === undefined) return scope
  throw new OAuthDiscoveryError(`The scope ${quote(scope.slice(0, maxLength))} of the ${source} is refused: ${flaw}.`, {
    code: 'OAUTH_METADATA_INVALID',
  })
}

/**
 * Chooses the scope to ask for (MCP 2026-07-28, Scope Selection Strategy): the configured one together with what the
 * challenge and the request ask for; without any of these, what the resource's metadata supports; always with what was
 * granted before and never above the ceiling. Undefined means to send no `scope`. Throws {@link OAuthScopeError}
 * `OAUTH_SCOPE_DENIED` when the challenge or the request needs more than the ceiling allows.
 */
export function selectScope(o: ScopeSources): string | undefined {
  const needed = unionScope(o.challenged, o.requested)
  if (o.ceiling !== undefined) checkCeiling(needed, o.ceiling)
  const asked = unionScope(o.configured, needed) === undefined ? supportedScope(o.supported) : needed
  const selected = withinCeiling(unionScope(o.configured, o.granted, asked), o.ceiling)
  if (o.offlineAccess !== true || selected === undefined) return selected
  return withinCeiling(unionScope(selected, offlineAccess), o.ceiling)
}

/**
 * Makes sure that a granted scope keeps to the ceiling. Throws {@link OAuthScopeError} `OAUTH_SCOPE_DENIED`: a token that
 * can do more than may be asked for is not used.
 */
export function checkGranted(granted: string | undefined, ceiling: string | undefined): void {
  const outside = ceiling === undefined ? undefined : missingScope(ceiling, granted)
  if (outside === undefined) return
  throw new OAuthScopeError(`The server granted the scope ${quote(outside)}, which is outside scopeCeiling.`, {
    code: 'OAUTH_SCOPE_DENIED',
    phase: 'token',
    hint: 'Have the server grant what is asked for, or raise `scopeCeiling`.',
  })
}

function checkCeiling(needed: string | undefined, ceiling: string): void {
  const outside = missingScope(ceiling, needed)
  if (needed === undefined || outside === undefined) return
  throw new OAuthScopeError(`The scope ${quote(outside)} is needed but outside scopeCeiling.`, {
    code: 'OAUTH_SCOPE_DENIED',
    requiredScope: needed,
  })
}

function withinCeiling(scope: string | undefined, ceiling: string | undefined): string | undefined {
  if (ceiling === undefined) return scope
  const allowed = new Set(parseScope(ceiling))
  return formatScope(parseScope(scope).filter((token) => allowed.has(token)))
}

/** A list beyond the bounds describes the server rather than a wish (RFC 9728 §7.2): nothing of it is asked for. */
function supportedScope(supported: readonly string[] | undefined): string | undefined {
  const scope = formatScope((supported ?? []).filter((token) => flawOf(token) === undefined))
  return scope === undefined || flawOf(scope) !== undefined ? undefined : scope
}

function flawOf(scope: string): string | undefined {
  if (scope.length > maxLength) return `it is longer than ${maxLength} characters`
  if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(scope)) return 'it has characters that a scope must not have'
  if (parseScope(scope).length > maxTokens) return `it has more than ${maxTokens} names`
  return undefined
}

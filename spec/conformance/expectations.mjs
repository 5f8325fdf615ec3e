/** The one version of the suite that these expectations describe. */
export const suiteVersion = '0.2.0-alpha.12'

/**
 * Which scenarios run at which revisions of the MCP protocol. A: required by 2025-11-25 and again by 2026-07-28.
 * B: required by 2026-07-28 in addition. C: back-compat. D: extensions, which match no revision and have to be forced.
 */
export const groups = {
  A: { wires: ['2025-11-25', '2026-07-28'], force: false },
  B: { wires: ['2026-07-28'], force: false },
  C: { wires: ['2025-03-26'], force: false },
  D: { wires: ['2025-11-25', '2026-07-28'], force: true },
}

/** The groups that run unless others are asked for: all 53 runs. */
export const defaultGroups = ['A', 'B', 'C', 'D']

/** From this revision on MCP has no `initialize`: two messages instead of four, and so two tokens seen instead of four. */
const firstStatelessWire = '2026-07-28'

/**
 * What a clean run leaves. `exit` of the driver, and for a rejection the endings of which it must report one; `V`: MCP
 * messages that carried a token; `R`, `A`, `T`: requests to /register, /authorize and /token, all of them under
 * `endpoints`. An array lists what is allowed, and `T: 'A'` means as many as authorization requests.
 */
const signIn = { exit: 0, V: { stateful: 4, stateless: 2 }, R: 1, A: 1, T: 1, endpoints: '' }
const signInWithoutRegistration = { ...signIn, R: 0 }
const machineGrant = { ...signIn, R: 0, A: 0 }
const none = { stateful: 0, stateless: 0 }
const three = { stateful: 3, stateless: 3 }
const refusedMetadata = (code) => ({ ...signIn, exit: 1, rejection: [{ code }], V: none, R: 0, A: 0, T: 0 })
const refusedCallback = { ...refusedMetadata('OAUTH_ISSUER_MISMATCH'), R: 1, A: 1 }
const endlessStepUp = {
  ...signIn,
  exit: 1,
  rejection: [{ code: 'OAUTH_SCOPE_DENIED' }, { status: 403 }],
  V: none,
  A: [1, 2],
  T: 'A',
}

/** Every `auth/*` scenario of the suite, its group, and what a clean run of it leaves. */
export const scenarios = [
  { name: 'auth/metadata-default', group: 'A', expected: signIn },
  { name: 'auth/metadata-var1', group: 'A', expected: signIn },
  { name: 'auth/metadata-var2', group: 'A', expected: { ...signIn, endpoints: '/tenant1' } },
  { name: 'auth/metadata-var3', group: 'A', expected: { ...signIn, endpoints: '/tenant1' } },
  { name: 'auth/basic-cimd', group: 'A', expected: signInWithoutRegistration },
  { name: 'auth/scope-from-www-authenticate', group: 'A', expected: signIn },
  { name: 'auth/scope-from-scopes-supported', group: 'A', expected: signIn },
  { name: 'auth/scope-omitted-when-undefined', group: 'A', expected: signIn },
  { name: 'auth/scope-step-up', group: 'A', expected: { ...signIn, V: three, A: 2, T: 2 } },
  { name: 'auth/scope-retry-limit', group: 'A', expected: endlessStepUp },
  { name: 'auth/token-endpoint-auth-basic', group: 'A', expected: signIn },
  { name: 'auth/token-endpoint-auth-post', group: 'A', expected: signIn },
  { name: 'auth/token-endpoint-auth-none', group: 'A', expected: signIn },
  { name: 'auth/pre-registration', group: 'A', expected: signInWithoutRegistration },

  { name: 'auth/resource-mismatch', group: 'B', expected: refusedMetadata('OAUTH_RESOURCE_MISMATCH') },
  { name: 'auth/offline-access-scope', group: 'B', expected: signInWithoutRegistration },
  { name: 'auth/offline-access-not-supported', group: 'B', expected: signIn },
  { name: 'auth/authorization-server-migration', group: 'B', expected: { ...signIn, V: three, R: 2, A: 2, T: 2 } },
  { name: 'auth/iss-supported', group: 'B', expected: signIn },
  { name: 'auth/iss-not-advertised', group: 'B', expected: signIn },
  { name: 'auth/iss-supported-missing', group: 'B', expected: refusedCallback },
  { name: 'auth/iss-wrong-issuer', group: 'B', expected: refusedCallback },
  { name: 'auth/iss-unexpected', group: 'B', expected: refusedCallback },
  { name: 'auth/iss-normalized', group: 'B', expected: refusedCallback },
  { name: 'auth/metadata-issuer-mismatch', group: 'B', expected: refusedMetadata('OAUTH_ISSUER_MISMATCH') },

  { name: 'auth/2025-03-26-oauth-metadata-backcompat', group: 'C', expected: { ...signIn, endpoints: '/oauth' } },
  { name: 'auth/2025-03-26-oauth-endpoint-fallback', group: 'C', expected: signIn },

  { name: 'auth/client-credentials-jwt', group: 'D', expected: machineGrant },
  { name: 'auth/client-credentials-basic', group: 'D', expected: machineGrant },
  { name: 'auth/enterprise-managed-authorization', group: 'D', expected: machineGrant },
  { name: 'auth/dpop', group: 'D', expected: { ...signIn, V: none } },
  { name: 'auth/dpop-nonce', group: 'D', expected: { ...signIn, V: none, T: 2 } },
  { name: 'auth/wif-jwt-bearer', group: 'D', expected: machineGrant },
]

/** The runs of some groups in the order of their list: one per scenario and wire, with what that run has to leave. */
export function runsOf(names) {
  return names.flatMap((group) =>
    groups[group].wires.flatMap((wire) =>
      scenarios
        .filter((scenario) => scenario.group === group)
        .map(({ name, expected }) => ({
          scenario: name,
          wire,
          force: groups[group].force,
          expected: { ...expected, V: expected.V[wire < firstStatelessWire ? 'stateful' : 'stateless'] },
        })),
    ),
  )
}

import { checkTextSource, textOf, type TextSource } from '../callback'
import type { SilentGrant } from './grant'

/** The `grant_type` of an assertion (RFC 7523 §2.1). */
export const jwtBearerGrantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Where the assertion of {@link jwtBearer} comes from. */
export interface JwtBearerOptions {
  /**
   * The JWT, or a function that gives one for the issuer it is told; called for each token request. On a cloud platform
   * it asks the platform for the workload's token with that audience.
   */
  readonly assertion: TextSource<{ readonly issuer: string }>
}

/**
 * A JWT that somebody has signed is the grant (RFC 7523 §2.1; workload identity federation). A refused assertion is
 * neither sent again nor replaced by another grant: the error reaches the caller.
 */
export function jwtBearer({ assertion }: JwtBearerOptions): SilentGrant {
  checkTextSource(assertion, 'assertion')
  return {
    kind: 'silent',
    name: 'jwt_bearer',
    parameters: async ({ server: { issuer }, context }) => ({
      grant_type: jwtBearerGrantType,
      assertion: await textOf(assertion, {
        name: 'assertion',
        within: context.settings.requestTimeout,
        given: { issuer },
      }),
    }),
  }
}

import { checkTextSource, textOf, type TextSource } from '../callback'
import type { SilentGrant } from './grant'

/** The `grant_type` of a token exchange (RFC 8693 §2.1). */
export const tokenExchangeGrantType = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The kinds of tokens (RFC 8693 §3), and the identity assertion of enterprise-managed authorization. */
export const tokenTypes = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  idJag: 'urn:ietf:params:oauth:token-type:id-jag',
} as const

/** What {@link tokenExchange} exchanges. */
export interface TokenExchangeOptions {
  /** The token that stands for the user, or a function that gives one; called for each exchange. */
  readonly subjectToken: TextSource<{ readonly issuer: string }>
  readonly subjectTokenType: string
  /** @default 'urn:ietf:params:oauth:token-type:access_token' */
  readonly requestedTokenType?: string
  /** The logical name of the service the token is for; besides `resource`, which is sent anyway. */
  readonly audience?: string
  /** The token that stands for who acts for the user. */
  readonly actorToken?: TextSource<{ readonly issuer: string }>
  readonly actorTokenType?: string
}

/**
 * A token of somewhere else is exchanged for one of this resource (RFC 8693). An answer with a token of another type
 * than the requested one is refused with `OAUTH_TOKEN_INVALID`.
 */
export function tokenExchange(o: TokenExchangeOptions): SilentGrant {
  const { subjectToken, subjectTokenType, requestedTokenType = tokenTypes.accessToken, audience } = o
  const { actorToken, actorTokenType } = o
  checkTextSource(subjectToken, 'subjectToken')
  checkTypes({ subjectTokenType, requestedTokenType })
  if (actorToken !== undefined) {
    checkTextSource(actorToken, 'actorToken')
    checkTypes({ actorTokenType })
  }
  return {
    kind: 'silent',
    name: 'token_exchange',
    issuedTokenType: requestedTokenType,
    parameters: async ({ server: { issuer }, context }) => {
      const about = { within: context.settings.requestTimeout, given: { issuer } }
      const actor = actorToken && (await textOf(actorToken, { name: 'actorToken', ...about }))
      return {
        grant_type: tokenExchangeGrantType,
        subject_token: await textOf(subjectToken, { name: 'subjectToken', ...about }),
        subject_token_type: subjectTokenType,
        requested_token_type: requestedTokenType,
        ...(audience === undefined ? {} : { audience }),
        ...(actor === undefined ? {} : { actor_token: actor, actor_token_type: actorTokenType ?? '' }),
      }
    },
  }
}

function checkTypes(types: Readonly<Record<string, unknown>>): void {
  const wrong = Object.entries(types).find(([, type]) => typeof type !== 'string' || type === '')
  if (wrong === undefined) return
  throw new TypeError(`axios-oauth2: \`${wrong[0]}\` must be a token type such as ${tokenTypes.accessToken}.`)
}

import { metadataOf } from './metadata/discovered-server'
import { isOAuthFlowError, OAuthFlowError } from './errors'
import type { GrantRecord } from './storage/record'
import type { Verbs } from './verbs'

/** Revokes and removes the tokens of a session; the removal happens whatever the server answers. */
export async function signOut({ context, tokenEndpoint }: Verbs, revoke: boolean): Promise<void> {
  const { settings, events } = context
  const startedAt = settings.now()
  const revoked = await context.exclusive(async (lease) => {
    const { grant } = lease.tokens
    await lease.tokens.clear()
    await lease.transactions.clear()
    return grant !== undefined && revoke && (await revokeTokens(tokenEndpoint, grant))
  })
  const origin = new URL(context.server?.issuer ?? settings.serverUrl).origin
  events.emit('signedOut', { origin, duration: settings.now() - startedAt, revoked })
  if (context.isStorageBehind) throw stillStored()
}

function stillStored(): OAuthFlowError {
  return new OAuthFlowError(
    'The session is over here, but the storage did not take that: its tokens are still in it.',
    {
      code: 'OAUTH_STORE_WRITE',
      phase: 'storage',
      retryable: true,
      hint: 'Call signOut() again when the storage can be written.',
    },
  )
}

/** RFC 7009 §2.1: the refresh token first, which takes the access token with it at many servers. */
async function revokeTokens(
  endpoint: Verbs['tokenEndpoint'],
  { server, client, tokens }: GrantRecord,
): Promise<boolean> {
  const url = metadataOf(server).revocation_endpoint
  if (url === undefined || tokens === undefined) return false
  const answers: boolean[] = []
  for (const [hint, token] of [
    ['refresh_token', tokens.refresh_token],
    ['access_token', tokens.access_token],
  ] as const) {
    if (token === undefined) continue
    try {
      const { status } = await endpoint.post(url, { server, client }, { token, token_type_hint: hint })
      answers.push(status === 200)
    } catch (error) {
      if (!isOAuthFlowError(error)) throw error
      answers.push(false)
    }
  }
  return answers[0] ?? false
}

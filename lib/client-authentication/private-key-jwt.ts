import { textOf } from '../callback'
import { readClientKey, signingPatience, type ClientKey } from './client-key'
import { isOAuthFlowError, OAuthRegistrationError, quote } from '../errors'
import { base64url } from '../protocol/encoding'
import { signJws } from '../protocol/jws'
import type { SigningKey } from '../protocol/signing-key'
import type { AuthenticationContext, ClientAuthentication } from './client-authentication'

/** RFC 7523 §2.2. */
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Seconds from `iat` to `exp`. */
const lifetime = 60

/**
 * Authenticates by a signed assertion, made anew for each request (RFC 7523 §2.2 and §3): `private_key_jwt`. Throws a
 * TypeError, which holds nothing of the key, when the key cannot sign with the algorithm.
 */
export function privateKeyJwt(key: ClientKey): ClientAuthentication {
  const read = readClientKey(key)
  return async ({ body }, context) => {
    const { client_id } = context.client
    const assertion =
      'ready' in read
        ? await textOf(read.ready, {
            name: 'client_assertion',
            within: signingPatience,
            given: { issuer: context.issuer, client_id },
          })
        : await sign(read.signing, key.assertion_audience ?? context.issuer, context)
    // Beside an assertion `client_id` is optional (RFC 7521 §4.2); servers look the key up by it.
    body.set('client_id', client_id)
    body.set('client_assertion_type', assertionType)
    body.set('client_assertion', assertion)
  }
}

async function sign({ algorithms, ...key }: SigningKey, aud: string, context: AuthenticationContext): Promise<string> {
  const { client, issuer, signingAlgorithms: listed } = context
  const alg = algorithms.find((name) => listed?.includes(name)) ?? algorithms[0] ?? 'ES256'
  const header = { alg, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }) }
  try {
    return await signJws({ header, payload: claims(aud, context), sign: (input) => key.sign(alg, input) })
  } catch (cause) {
    if (isOAuthFlowError(cause)) throw cause
    throw new OAuthRegistrationError(`The client ${quote(client.client_id)} cannot sign with ${alg}.`, {
      code: 'OAUTH_REGISTRATION_FAILED',
      endpoint: issuer,
      hint: 'The key is damaged, or the signing function gave something else than a signature of this algorithm.',
      cause,
    })
  }
}

/**
 * `aud` is the issuer as the only value (draft-ietf-oauth-rfc7523bis §4). No `nbf`, and `iat` dated back by the
 * tolerance: a clock that is ahead must not make an assertion that begins in the future.
 */
function claims(
  aud: string,
  { client, now, clockTolerance, random }: AuthenticationContext,
): Readonly<Record<string, string | number>> {
  const secondsAt = (milliseconds: number): number => Math.floor(milliseconds / 1000)
  return {
    iss: client.client_id,
    sub: client.client_id,
    aud,
    jti: base64url(random(32)),
    iat: secondsAt(now() - clockTolerance),
    exp: secondsAt(now() + clockTolerance) + lifetime,
  }
}

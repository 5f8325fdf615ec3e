import { callUser, checkTextSource, textOf, type TextSource } from '../callback'
import { isOAuthFlowError, OAuthRegistrationError, quote } from '../errors'
import { base64url } from '../protocol/encoding'
import { signJws } from '../protocol/jws'
import { readSigningKey, type PrivateKey, type SigningKey } from '../protocol/signing-key'
import type { AuthenticationContext, ClientAuthentication } from './client-authentication'

/** What a client signs its assertions with, or where it gets them from. Members of RFC 7591 keep their names. */
export interface ClientKey {
  /** The private key, or a function that signs with it. */
  readonly private_key?: PrivateKey
  /** @default what fits the key; of several the first that the server lists */
  readonly token_endpoint_auth_signing_alg?: string
  /** Id of the key, in the header of assertions. @default the `kid` of a JWK */
  readonly kid?: string
  /**
   * An assertion that somebody else signs (RFC 7521 §4.2), such as the platform of a workload; takes the place of the
   * key. A function is called for each request.
   */
  readonly client_assertion?: TextSource<{ readonly issuer: string; readonly client_id: string }>
  /** The audience of assertions, for servers that ask for their token endpoint. @default the issuer */
  readonly assertion_audience?: string
}

/** RFC 7523 §2.2. */
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Seconds from `iat` to `exp`. */
const lifetime = 60
/** Milliseconds for a signing function, or one that gives an assertion. */
const patience = 10_000

type AssertionSource = (context: AuthenticationContext) => Promise<string>

/** Whether there is something to make or get assertions with. */
export function canAssert(key: ClientKey | undefined): key is ClientKey {
  return key?.private_key !== undefined || key?.client_assertion !== undefined
}

/**
 * Authenticates by a signed assertion, made anew for each request (RFC 7523 §2.2 and §3): `private_key_jwt`. Throws a
 * TypeError, which holds nothing of the key, when the key cannot sign with the algorithm.
 */
export function privateKeyJwt(key: ClientKey): ClientAuthentication {
  const assertion = assertionSource(key)
  return async ({ body }, context) => {
    const signed = await assertion(context)
    // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request".
    body.delete('client_secret')
    body.set('client_id', context.client.client_id)
    body.set('client_assertion_type', assertionType)
    body.set('client_assertion', signed)
  }
}

function assertionSource(key: ClientKey): AssertionSource {
  const { private_key: privateKey, client_assertion: readyMade, token_endpoint_auth_signing_alg: alg, kid } = key
  if (privateKey !== undefined && readyMade !== undefined) {
    throw new TypeError('axios-oauth2: give either `private_key` or `client_assertion`.')
  }
  if (readyMade !== undefined) {
    checkTextSource(readyMade, 'client_assertion')
    return ({ issuer, client }) =>
      textOf(readyMade, { name: 'client_assertion', within: patience, given: { issuer, client_id: client.client_id } })
  }
  if (privateKey === undefined) throw new TypeError('axios-oauth2: `private_key` or `client_assertion` is needed.')
  const signer: PrivateKey =
    typeof privateKey === 'function'
      ? (input) => callUser(() => privateKey(input), { name: 'private_key', within: patience })
      : privateKey
  const signingKey = readSigningKey(signer, { name: 'private_key', alg, kid })
  return (context) => sign(signingKey, claims(context, key.assertion_audience), context)
}

/**
 * No `nbf`, and `iat` dated back by the tolerance: RFC 7523 §3 leaves both optional, and a clock that is ahead must not
 * make an assertion that begins in the future. `aud` is the issuer and nothing else (RFC 7523bis §3).
 */
function claims(
  { client, issuer, now, clockTolerance, random }: AuthenticationContext,
  audience: string | undefined,
): Readonly<Record<string, unknown>> {
  const at = (milliseconds: number): number => Math.floor(milliseconds / 1000)
  return {
    iss: client.client_id,
    sub: client.client_id,
    aud: audience ?? issuer,
    jti: base64url(random(32)),
    iat: at(now() - clockTolerance),
    exp: at(now() + clockTolerance) + lifetime,
  }
}

async function sign(
  { algorithms, kid, sign: signBytes }: SigningKey,
  payload: Readonly<Record<string, unknown>>,
  { signingAlgorithms: listed, client, issuer }: AuthenticationContext,
): Promise<string> {
  const alg = algorithms.find((name) => listed?.includes(name)) ?? algorithms[0] ?? 'ES256'
  const header = { alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) }
  try {
    return await signJws({ header, payload, sign: (input) => signBytes(alg, input) })
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

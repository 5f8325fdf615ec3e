import { callUser, checkTextSource, type TextSource } from '../callback'
import { readSigningKey, type PrivateKey, type SigningKey } from '../protocol/signing-key'

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
  readonly client_assertion?: ClientAssertion
  /** The audience of assertions, for servers that ask for their token endpoint. @default the issuer */
  readonly assertion_audience?: string
}

/** A ready assertion, or a function that gives one for the server and client it is told. */
export type ClientAssertion = TextSource<{ readonly issuer: string; readonly client_id: string }>

/** Milliseconds for a function that signs or gives an assertion. */
export const signingPatience = 10_000

/** Whether there is something to make or get assertions with. */
export function hasClientKey(key: ClientKey | undefined): key is ClientKey {
  return key?.private_key !== undefined || key?.client_assertion !== undefined
}

/** Checks a client's key and makes it usable. Throws a TypeError, which holds nothing of the key. */
export function readClientKey(key: ClientKey): { readonly signing: SigningKey } | { readonly ready: ClientAssertion } {
  const { private_key: privateKey, client_assertion: ready, token_endpoint_auth_signing_alg: alg, kid } = key
  if (privateKey !== undefined && ready !== undefined) {
    throw new TypeError('axios-oauth2: give either `private_key` or `client_assertion`.')
  }
  if (ready !== undefined) {
    checkTextSource(ready, 'client_assertion')
    return { ready }
  }
  if (privateKey === undefined) throw new TypeError('axios-oauth2: `private_key` or `client_assertion` is needed.')
  const signer: PrivateKey =
    typeof privateKey === 'function'
      ? (input) => callUser(() => privateKey(input), { name: 'private_key', within: signingPatience })
      : privateKey
  return { signing: readSigningKey(signer, { name: 'private_key', alg, kid }) }
}

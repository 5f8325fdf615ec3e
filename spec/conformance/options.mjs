/** The URL that the suite expects as client identity wherever an authorization server supports such documents. */
const clientMetadataUrl = 'https://conformance-test.local/client-metadata.json'

/**
 * The options that a scenario needs beyond those of every run, made of what its context hands to a client: credentials,
 * and the grant that goes with them. A scenario that is not listed needs nothing.
 */
const table = {
  'auth/pre-registration': ({ client_id, client_secret, issuer }) => ({
    clientInformation: { client_id, client_secret, issuer },
  }),
  'auth/client-credentials-jwt': ({ client_id, private_key_pem, signing_algorithm }, { clientCredentials }) => ({
    grant: clientCredentials(),
    clientInformation: {
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: signing_algorithm,
      private_key: private_key_pem,
    },
  }),
  'auth/client-credentials-basic': ({ client_id, client_secret }, { clientCredentials }) => ({
    grant: clientCredentials(),
    clientInformation: { client_id, client_secret },
  }),
  'auth/enterprise-managed-authorization': (context, { enterpriseManaged }) => ({
    grant: enterpriseManaged({
      identityAssertion: () => context.idp_id_token,
      identityProvider: {
        issuer: context.idp_issuer,
        tokenEndpoint: context.idp_token_endpoint,
        clientId: context.idp_client_id,
      },
    }),
    clientInformation: { client_id: context.client_id, client_secret: context.client_secret },
  }),
  'auth/dpop': () => ({ dpop: true }),
  'auth/dpop-nonce': () => ({ dpop: true }),
  'auth/wif-jwt-bearer': ({ client_id, valid_jwt }, { jwtBearer }) => ({
    grant: jwtBearer({ assertion: valid_jwt }),
    clientInformation: { client_id },
  }),
}

/** The plugin's options for a scenario. `library` is the namespace of the library, for its grants. */
export function optionsFor(scenario, context, library) {
  return {
    clientMetadata: { client_name: 'axios-oauth2 conformance', redirect_uris: ['http://localhost:3000/callback'] },
    clientMetadataUrl,
    ...table[scenario]?.(context, library),
  }
}

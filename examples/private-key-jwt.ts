/**
 * A job whose secret is a private key: each token request carries a signed assertion, and the key itself is sent nowhere.
 *
 *     CLIENT_ID=… PRIVATE_KEY_FILE=key.pem ISSUER=https://login.example.com \
 *       node examples/private-key-jwt.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). The key is PKCS#8 PEM; KEY_ID is the `kid` of the
 * registered one, where the server knows several.
 */
import { readFileSync } from 'node:fs'
import axios from 'axios'
import { clientCredentials, isOAuthFlowError, oauth } from 'axios-oauth2'

const [baseURL, path = ''] = process.argv.slice(2)
const { CLIENT_ID, PRIVATE_KEY_FILE, KEY_ID, ISSUER, SCOPE } = process.env
if (baseURL === undefined || !CLIENT_ID || !PRIVATE_KEY_FILE || !ISSUER) {
  console.error(
    'usage: CLIENT_ID=… PRIVATE_KEY_FILE=… ISSUER=… [KEY_ID=…] [SCOPE=…] private-key-jwt.ts <URL of the API> [<path>]',
  )
  process.exit(2)
}

const api = axios.create({ baseURL })
oauth(api, {
  grant: clientCredentials(),
  clientInformation: {
    client_id: CLIENT_ID,
    token_endpoint_auth_method: 'private_key_jwt',
    private_key: readFileSync(PRIVATE_KEY_FILE, 'utf8'), // or a function that has a vault sign
    issuer: ISSUER,
    ...(KEY_ID ? { kid: KEY_ID } : {}),
  },
  ...(SCOPE ? { scope: SCOPE } : {}),
})

try {
  const { data } = await api.get<unknown>(path)
  console.log(JSON.stringify(data))
} catch (error) {
  if (!isOAuthFlowError(error)) throw error
  console.error(`${error.code}: ${error.message} ${error.hint ?? ''}`.trim())
  process.exitCode = 1
}

/**
 * An employee whose company decides: the ID token of the company's sign-in opens the APIs that the company allows.
 *
 *     IDP=https://idp.example.com IDP_CLIENT_ID=… IDP_CLIENT_SECRET=… ID_TOKEN_FILE=id-token \
 *       CLIENT_ID=… CLIENT_SECRET=… node examples/enterprise-managed.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). The application has a client at the identity
 * provider, and another one at the authorization server of the API.
 */
import { readFile } from 'node:fs/promises'
import axios from 'axios'
import { enterpriseManaged, isOAuthFlowError, oauth } from 'axios-oauth2'

const [baseURL, path = ''] = process.argv.slice(2)
const { IDP, IDP_CLIENT_ID, IDP_CLIENT_SECRET, ID_TOKEN_FILE, CLIENT_ID, CLIENT_SECRET, SCOPE } = process.env
if (!baseURL || !IDP || !IDP_CLIENT_ID || !IDP_CLIENT_SECRET || !ID_TOKEN_FILE || !CLIENT_ID || !CLIENT_SECRET) {
  console.error(
    'usage: IDP=… IDP_CLIENT_ID=… IDP_CLIENT_SECRET=… ID_TOKEN_FILE=… CLIENT_ID=… CLIENT_SECRET=… [SCOPE=…] ' +
      'enterprise-managed.ts <URL of the API> [<path>]',
  )
  process.exit(2)
}

const api = axios.create({ baseURL })
const provider = oauth(api, {
  grant: enterpriseManaged({
    identityAssertion: async () => (await readFile(ID_TOKEN_FILE, 'utf8')).trim(),
    identityProvider: { issuer: IDP, clientId: IDP_CLIENT_ID, clientSecret: IDP_CLIENT_SECRET },
  }),
  clientInformation: { client_id: CLIENT_ID, client_secret: CLIENT_SECRET },
  ...(SCOPE ? { scope: SCOPE } : {}),
})
provider.on('authorized', ({ issuer, scope }) => console.error(`let in by ${issuer} for ${scope ?? 'no scope'}`))

try {
  const { data } = await api.get<unknown>(path)
  console.log(JSON.stringify(data))
} catch (error) {
  if (!isOAuthFlowError(error)) throw error
  console.error(`${error.code}: ${error.message} ${error.hint ?? ''}`.trim())
  process.exitCode = 1
}

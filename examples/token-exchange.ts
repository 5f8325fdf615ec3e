/**
 * A service that calls another one for its user: the token it was called with is exchanged for one of that API.
 *
 *     CLIENT_ID=… CLIENT_SECRET=… SUBJECT_TOKEN=… ISSUER=https://login.example.com \
 *       node examples/token-exchange.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later).
 */
import axios from 'axios'
import { isOAuthFlowError, oauth, tokenExchange } from 'axios-oauth2'

const [baseURL, path = ''] = process.argv.slice(2)
const { CLIENT_ID, CLIENT_SECRET, SUBJECT_TOKEN, ISSUER, SCOPE } = process.env
if (baseURL === undefined || !CLIENT_ID || !CLIENT_SECRET || !SUBJECT_TOKEN || !ISSUER) {
  console.error(
    'usage: CLIENT_ID=… CLIENT_SECRET=… SUBJECT_TOKEN=… ISSUER=… [SCOPE=…] token-exchange.ts <URL of the API> [<path>]',
  )
  process.exit(2)
}

const api = axios.create({ baseURL })
oauth(api, {
  grant: tokenExchange({
    subjectToken: SUBJECT_TOKEN, // in a server a function, and one provider per user
    subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
  }),
  clientInformation: { client_id: CLIENT_ID, client_secret: CLIENT_SECRET, issuer: ISSUER },
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

/**
 * A job that acts for itself: client credentials, calls in parallel, one token for all of them.
 *
 *     CLIENT_ID=… CLIENT_SECRET=… ISSUER=https://login.example.com \
 *       node examples/client-credentials.ts https://api.example.com/v1 /notes /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later).
 */
import axios from 'axios'
import { clientCredentials, isOAuthFlowError, oauth } from 'axios-oauth2'

const [baseURL, ...paths] = process.argv.slice(2)
const { CLIENT_ID, CLIENT_SECRET, ISSUER, SCOPE } = process.env
if (baseURL === undefined || !CLIENT_ID || !CLIENT_SECRET || !ISSUER) {
  console.error('usage: CLIENT_ID=… CLIENT_SECRET=… ISSUER=… [SCOPE=…] client-credentials.ts <URL of the API> <path>…')
  process.exit(2)
}

const api = axios.create({ baseURL })
const provider = oauth(api, {
  grant: clientCredentials(),
  // `issuer` says who may see the secret, whatever the API or the network claims.
  clientInformation: { client_id: CLIENT_ID, client_secret: CLIENT_SECRET, issuer: ISSUER },
  ...(SCOPE ? { scope: SCOPE } : {}),
})

try {
  await provider.authorize() // a wrong secret shows here, before any work
  const answers = await Promise.all(paths.map((path) => api.get<unknown>(path)))
  for (const { data } of answers) console.log(JSON.stringify(data))
} catch (error) {
  if (!isOAuthFlowError(error)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = error.retryable ? 75 : 1 // 75: the scheduler may try again
}

/**
 * A workload without a secret: the platform it runs on keeps a signed token about it in a file, and that is the grant.
 *
 *     CLIENT_ID=… TOKEN_FILE=/var/run/secrets/tokens/api ISSUER=https://login.example.com \
 *       node examples/jwt-bearer.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later).
 */
import { readFile } from 'node:fs/promises'
import axios from 'axios'
import { isOAuthFlowError, jwtBearer, oauth } from 'axios-oauth2'

const [baseURL, path = ''] = process.argv.slice(2)
const { CLIENT_ID, TOKEN_FILE, ISSUER, SCOPE } = process.env
if (baseURL === undefined || !CLIENT_ID || !TOKEN_FILE || !ISSUER) {
  console.error('usage: CLIENT_ID=… TOKEN_FILE=… ISSUER=… [SCOPE=…] jwt-bearer.ts <URL of the API> [<path>]')
  process.exit(2)
}

const api = axios.create({ baseURL })
oauth(api, {
  // Called for each access token: the platform replaces the file before its token expires.
  grant: jwtBearer({ assertion: async () => (await readFile(TOKEN_FILE, 'utf8')).trim() }),
  clientInformation: { client_id: CLIENT_ID, issuer: ISSUER },
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

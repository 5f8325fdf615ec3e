/**
 * A machine without a browser: prints a code, which a person enters on another device.
 *
 *     node examples/device-code.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). CLIENT_ID is for servers without registration.
 */
import axios from 'axios'
import { deviceCode, isOAuthFlowError, oauth } from 'axios-oauth2'

const [baseURL, path = ''] = process.argv.slice(2)
const { CLIENT_ID } = process.env
if (baseURL === undefined) {
  console.error('usage: [CLIENT_ID=…] device-code.ts <URL of the API> [<path>]')
  process.exit(2)
}

const api = axios.create({ baseURL })
const provider = oauth(api, {
  grant: deviceCode({
    onUserCode({ verificationUri, verificationUriComplete, userCode, expiresAt }) {
      console.error(`Open ${verificationUri} and enter ${userCode} before ${new Date(expiresAt).toLocaleTimeString()}.`)
      if (verificationUriComplete !== undefined) console.error(`Or open:\n${verificationUriComplete}`)
    },
  }),
  ...(CLIENT_ID
    ? { clientInformation: { client_id: CLIENT_ID } }
    : { clientMetadata: { client_name: 'axios-oauth2 device' } }),
})

try {
  const { data } = await api.get<unknown>(path)
  console.log(JSON.stringify(data))
} catch (error) {
  if (!isOAuthFlowError(error)) throw error
  console.error(`${error.code}: ${error.message} ${error.hint ?? ''}`.trim())
  process.exitCode = 1
} finally {
  await provider.signOut() // nothing is stored, so nothing need stay valid
}

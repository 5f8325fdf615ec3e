/**
 * A sign-in whose tokens are of no use to a thief: they are bound to a key, and every request proves that it is here.
 *
 *     node examples/dpop.ts https://api.example.com/v1 /notes /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). `dpop` goes with every grant.
 */
import axios from 'axios'
import { isOAuthFlowError, oauth } from 'axios-oauth2'
import { loopbackReceiver } from 'axios-oauth2/node'

const [baseURL, ...paths] = process.argv.slice(2)
if (baseURL === undefined) {
  console.error('usage: dpop.ts <URL of the API> <path>…')
  process.exit(2)
}

const api = axios.create({ baseURL })
const provider = oauth(api, {
  clientMetadata: { client_name: 'axios-oauth2 DPoP example' },
  receiver: loopbackReceiver(),
  // The key is made here and ends with the process. To keep sessions longer, keep a key: { keyPair, required: true }.
  dpop: 'required',
})

try {
  for (const path of paths) {
    const { data } = await api.get<unknown>(path)
    console.log(JSON.stringify(data))
  }
} catch (error) {
  if (!isOAuthFlowError(error)) throw error
  console.error(`${error.code}: ${error.message} ${error.hint ?? ''}`.trim())
  process.exitCode = 1
} finally {
  await provider.signOut() // nothing is stored, so nothing need stay valid
}

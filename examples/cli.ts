/**
 * A command-line client of any protected API: signs in at the first refusal, calls, prints the answer.
 *
 *     node examples/cli.ts https://api.example.com/v1/notes --base https://api.example.com/v1
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). Results go to stdout, everything else to stderr.
 */
import { parseArgs } from 'node:util'
import axios, { isAxiosError } from 'axios'
import { isOAuthFlowError, oauth } from 'axios-oauth2'
import { loopbackReceiver } from 'axios-oauth2/node'

const usage = 'usage: cli.ts <URL> [--base <URL of the API>] [--scope <scope>] [--verbose]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { base: { type: 'string' }, scope: { type: 'string' }, verbose: { type: 'boolean', default: false } },
})
const [url] = positionals
if (url === undefined) {
  console.error(usage)
  process.exit(2)
}

const api = axios.create({ baseURL: values.base ?? url })
const provider = oauth(api, {
  clientMetadata: { client_name: 'axios-oauth2 example' },
  receiver: loopbackReceiver(),
  ...(values.scope === undefined ? {} : { scope: values.scope }),
})
if (values.verbose) {
  provider.on('discovered', ({ issuer }) => console.error(`authorization server: ${issuer}`))
  provider.on('registered', () => console.error('registered'))
  provider.on('authorized', ({ scope }) => console.error(`signed in for ${scope ?? 'no scope'}`))
}

try {
  const { data } = await api.get<unknown>(url)
  console.log(typeof data === 'string' ? data : JSON.stringify(data, null, 2))
} catch (error) {
  console.error(explain(error))
  process.exitCode = 1
} finally {
  await provider.signOut() // nothing is stored, so nothing need stay valid
}

function explain(error: unknown): string {
  if (isOAuthFlowError(error)) return `${error.code}: ${error.message} ${error.hint ?? ''}`.trim()
  if (isAxiosError(error) && error.response !== undefined) return `The API answered ${error.response.status}.`
  return String(error)
}

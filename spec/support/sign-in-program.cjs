/**
 * A program that calls a protected API and signs in through loopbackReceiver(), as a child process: prints what came
 * of it and then has nothing left to do. argv: the URL of the API, and what the browser does (`follow`, `nothing`).
 */
const { transformSync } = require('@swc/core')
const { readFileSync } = require('node:fs')

require.extensions['.ts'] = (module, filename) => {
  const jsc = { parser: { syntax: 'typescript' }, target: 'es2022' }
  const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, jsc, module: { type: 'commonjs' } })
  module._compile(code, filename)
}
const axios = require('axios')
const { oauth } = require('../../lib')
const { loopbackReceiver } = require('../../lib/node')

const [, , serverUrl, browser] = process.argv

async function main() {
  const api = axios.create({ baseURL: serverUrl, proxy: false })
  let page
  const openBrowser = (url) => {
    if (browser === 'follow') page = fetch(url).then((response) => response.text())
  }
  const timeout = browser === 'follow' ? 60_000 : 50
  const provider = oauth(api, {
    clientMetadata: { client_name: 'Program' },
    receiver: loopbackReceiver({ openBrowser }),
    timeout,
  })
  const outcome = await api.get('').then(
    ({ status }) => ({ status }),
    ({ code }) => ({ code }),
  )
  const { clientId } = await provider.describe()
  console.log(JSON.stringify({ ...outcome, clientId: typeof clientId, page: (await page) ?? '' }))
}

void main()

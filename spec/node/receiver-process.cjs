/**
 * A program that signs in through loopbackReceiver(), as a child process: prints its redirect URI, then the outcome and
 * what is left in the process. argv: options of the receiver and the milliseconds after which it gives up, as JSON.
 */
const { transformSync } = require('@swc/core')
const { readFileSync } = require('node:fs')

require.extensions['.ts'] = (module, filename) => {
  const jsc = { parser: { syntax: 'typescript' }, target: 'es2022' }
  const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, jsc, module: { type: 'commonjs' } })
  module._compile(code, filename)
}
const { loopbackReceiver } = require('../../lib/node')

const { options, timeout } = JSON.parse(process.argv[2])
const state = 'pYt4nVw0q8Zr6Kc2Xs1Lb9Td3Fh5Gj7M'

async function main() {
  const session = await loopbackReceiver(options).open({ registered: undefined })
  session.redirectHandler(`https://as.example.com/authorize?a=$(calc)&b=\`id\`&c=1|calc&e='";x&state=${state}`)
  const abort = new AbortController()
  const timer = timeout && setTimeout(() => abort.abort(new Error('too late')), timeout)
  const outcome = session.callbackHandler({ state, signal: abort.signal }).catch((error) => error.message)
  console.log(session.redirectUri)
  console.log(`outcome ${await outcome}`)
  clearTimeout(timer)
  await session.close()
  const left = process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Process/.test(name))
  console.log(`left ${JSON.stringify(left)}`)
}

void main()

import { writeSync } from 'node:fs'
import axios from 'axios'
import * as library from 'axios-oauth2'
import { optionsFor } from './options.mjs'

// The client that the suite watches: options by scenario, a scripted browser, MCP messages. There is no OAuth in here,
// and nothing depends on the scenario but the options. If something cannot pass like this, the library lacks it.

const {
  MCP_CONFORMANCE_SCENARIO: scenario,
  MCP_CONFORMANCE_PROTOCOL_VERSION: wire,
  MCP_CONFORMANCE_CONTEXT: context = '{}',
} = process.env
const serverUrl = process.argv.at(-1)

// How it ends: one JSON line, the very last thing written, and the exit code that belongs to it. Written on exit, so that
// what goes wrong after the last message is told as well. A driver that is killed writes none.

const exitCodes = { done: 0, rejected: 1, broken: 2, hung: 9 }
let ending = { outcome: 'broken', reason: 'nothing was left to do before the last message was answered' }

process.on('exit', () => {
  writeSync(1, `${JSON.stringify(ending)}\n`)
  process.exitCode = exitCodes[ending.outcome]
})
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => {
    console.error(event, error)
    ending = { outcome: 'broken', reason: event }
    process.exit()
  })
}
setTimeout(() => {
  ending = { outcome: 'hung' }
  process.exit()
}, 25_000).unref()

function endingOf(error) {
  if (library.isOAuthFlowError(error)) return { outcome: 'rejected', code: error.code, status: error.status }
  if (axios.isAxiosError(error) && error.response) return { outcome: 'rejected', status: error.response.status }
  return { outcome: 'broken', reason: String(error) }
}

// The scripted browser: follows the authorization URL one step and hands on where it was sent, whatever that says.

const browser = {
  async redirectHandler(url) {
    const { status, headers } = await fetch(url, { redirect: 'manual' })
    if (status !== 302) throw new Error(`The authorization endpoint answered ${status} instead of 302`)
    this.location = headers.get('location')
  },
  callbackHandler: async () => browser.location,
}

// The MCP messages, over an axios instance that the plugin was attached to.

const stateless = wire >= '2026-07-28'
const clientInfo = { name: 'axios-oauth2-conformance', version: '1.0.0' }
const api = axios.create({
  proxy: false,
  timeout: 10_000,
  headers: { Accept: 'application/json, text/event-stream' },
})

async function listAndCallTool() {
  const request = stateless ? requestAlone : await openSession()

  const { tools } = await request('tools/list', {})
  assert(
    tools.some(({ name }) => name === 'test-tool'),
    'the tool list names test-tool',
  )
  const { content } = await request('tools/call', { name: 'test-tool', arguments: {} })
  assert(content[0].type === 'text' && content[0].text === 'test', 'the call returned the text test')
}

/** Initializes a session and returns how to send requests in it. */
async function openSession() {
  const { protocolVersion } = await exchange('initialize', { protocolVersion: wire, capabilities: {}, clientInfo })
  assert(protocolVersion === wire, `initialize negotiated ${wire}`)

  const headers = { 'MCP-Protocol-Version': protocolVersion }
  await api.post(serverUrl, { jsonrpc: '2.0', method: 'notifications/initialized' }, { headers })
  return (method, params) => exchange(method, params, headers)
}

/** Sends a request that says everything about the client itself, as the protocol without sessions wants it. */
function requestAlone(method, params) {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': wire,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': clientInfo,
  }
  const name = params.name === undefined ? {} : { 'Mcp-Name': params.name }
  const headers = { 'MCP-Protocol-Version': wire, 'Mcp-Method': method, ...name }
  return exchange(method, { ...params, _meta: meta }, headers)
}

let lastId = 0

/** Posts a JSON-RPC request and returns the result of its answer. */
async function exchange(method, params, headers = {}) {
  const id = ++lastId
  const { data, headers: answered } = await api.post(serverUrl, { jsonrpc: '2.0', id, method, params }, { headers })
  const answers = /^text\/event-stream\b/.test(answered['content-type']) ? eventsOf(data) : [data]
  const answer = answers.find((candidate) => candidate?.id === id)
  assert(answer?.result !== undefined, `${method} has a result, but the answer is ${JSON.stringify(data)}`)
  return answer.result
}

/** The JSON documents in the `data` lines of a stream of server-sent events. */
function eventsOf(stream) {
  return stream
    .split(/\r?\n\r?\n/)
    .map((event) => event.split(/\r?\n/).filter((line) => line.startsWith('data:')))
    .map((lines) => lines.map((line) => line.slice('data:'.length).trim()).join('\n'))
    .filter((data) => data !== '')
    .map((data) => JSON.parse(data))
}

function assert(condition, expectation) {
  if (!condition) throw new Error(`Expected that ${expectation}`)
}

try {
  library.oauth(api, {
    serverUrl,
    redirectHandler: (url) => browser.redirectHandler(url),
    callbackHandler: browser.callbackHandler,
    ...optionsFor(scenario, JSON.parse(context), library),
  })
  await listAndCallTool()
  ending = { outcome: 'done' }
} catch (error) {
  console.error(error?.stack ?? error, error?.hint ?? '', error?.cause ?? '')
  ending = endingOf(error)
}

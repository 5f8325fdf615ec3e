import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import axios, { type AxiosInstance } from 'axios'
import { oauth, toFetch, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import { scriptedReceiver, startStack, type JournalEntry, type Stack } from '../support/servers/start'

// The official MCP client, which takes a `fetch`, against the official MCP server behind its bearer check.

jest.setTimeout(30_000)

let stack: Stack
const open: Client[] = []

beforeAll(async () => {
  stack = await startStack({ api: false })
})
afterAll(() => stack.stop())
beforeEach(() => stack.authorizationServer.control.reset().then(() => stack.mcp.control.reset()))
afterEach(async () => {
  for (const client of open.splice(0)) await client.close()
})

let ahead = 0

function connect(o: Partial<OAuthOptions> = {}): {
  http: AxiosInstance
  provider: OAuthClientProvider
  client: Client
  start: () => Promise<void>
} {
  ahead = 0
  const http = axios.create({ baseURL: stack.mcp.urls.mcp, proxy: false })
  const provider = oauth(http, {
    clientMetadata: { client_name: 'MCP spec' },
    receiver: scriptedReceiver(),
    now: () => Date.now() + ahead,
    ...o,
  })
  const client = new Client({ name: 'spec', version: '1.0.0' })
  open.push(client)
  const transport = new StreamableHTTPClientTransport(new URL(stack.mcp.urls.mcp), { fetch: toFetch(http) })
  return { http, provider, client, start: () => client.connect(transport) }
}

const textOf = ({ content }: { content: unknown }): unknown => (content as { text?: string }[])[0]?.text
const echo = (client: Client, text: string): Promise<unknown> =>
  client.callTool({ name: 'echo', arguments: { text } }).then((result) => textOf(result as { content: unknown }))

async function calls(): Promise<JournalEntry[]> {
  return (await stack.mcp.control.journal()).filter(({ rpc }) => rpc === 'tools/call')
}

describe('the official MCP client over toFetch(api)', () => {
  it('signs in by itself, lists tools and calls them [attach.every-request] [attach.no-token-yet]', async () => {
    const { client, start } = connect()
    await start()
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name).sort()).toEqual(['admin_report', 'echo', 'whoami'])
    await expect(echo(client, 'hello ü')).resolves.toBe('hello ü')
    const journal = await stack.mcp.control.journal()
    const [first] = journal
    expect(first).toMatchObject({ method: 'POST', path: '/mcp', status: 401, rpc: 'initialize' })
    expect(journal.filter(({ path, status }) => path === '/mcp' && status === 401)).toHaveLength(1)
    const sent = journal.filter(({ path, status }) => path === '/mcp' && status !== 401)
    expect(new Set(sent.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer']))
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      registrations: 1,
      authorizationRequests: 1,
    })
  })

  it('keeps its session over an expiry: 20 concurrent calls, one renewal [concurrency.one-refresh]', async () => {
    const { client, start } = connect()
    await start()
    ahead += 300_000
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`)
    await expect(Promise.all(texts.map((text) => echo(client, text)))).resolves.toEqual(texts)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      tokenRequests: { authorization_code: 1, refresh_token: 1 },
      reuseDetected: 0,
    })
    expect((await stack.mcp.control.journal()).filter(({ rpc }) => rpc === 'initialize')).toHaveLength(2)
  })

  it('steps up for the one tool that needs more, out of a 403 of one call [step-up.union] [replay.once]', async () => {
    const { client, provider, start } = connect()
    await start()
    const result = await client.callTool({ name: 'admin_report', arguments: {} })
    expect(textOf(result as { content: unknown })).toBe('all is well')
    expect((await calls()).map(({ tool, status }) => [tool, status])).toEqual([
      ['admin_report', 403],
      ['admin_report', 200],
    ])
    const { scope = '' } = await provider.describe()
    expect(scope.split(' ').sort()).toEqual(['mcp:admin', 'mcp:tools'])
  })

  it('sees the typed error where nobody can be asked [errors.request-rejects]', async () => {
    const { start } = connect({ scope: 'mcp:tools', stepUp: 'throw' })
    await start()
    const [client] = open
    await expect(client?.callTool({ name: 'admin_report', arguments: {} })).rejects.toMatchObject({
      code: 'OAUTH_SCOPE_DENIED',
      requiredScope: 'mcp:admin',
    })
    await expect(echo(client as Client, 'still')).resolves.toBe('still')
  })

  it('speaks while its event stream stays open, and closes it [concurrency.lock-scope]', async () => {
    const { client, start } = connect()
    await start()
    await expect(echo(client, 'one')).resolves.toBe('one')
    const streams = (await stack.mcp.control.journal()).filter(({ method }) => method === 'GET')
    expect(streams.some((stream) => stream.path === '/mcp' && stream.open === true)).toBe(true)
    await expect(Promise.all([echo(client, 'two'), echo(client, 'three')])).resolves.toEqual(['two', 'three'])
    await client.close()
    open.length = 0
  })
})

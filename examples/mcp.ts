/**
 * The official MCP client behind an axios instance: lists the tools of a protected server, or calls one.
 *
 *     node examples/mcp.ts https://mcp.example.com/mcp
 *     node examples/mcp.ts https://mcp.example.com/mcp echo '{"text":"hello"}'
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). A tool that needs more access asks for it.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import axios from 'axios'
import { oauth, toFetch } from 'axios-oauth2'
import { loopbackReceiver } from 'axios-oauth2/node'

const [url, tool, input = '{}'] = process.argv.slice(2)
if (url === undefined) {
  console.error('usage: mcp.ts <URL of the server> [<tool> [<arguments as JSON>]]')
  process.exit(2)
}

const http = axios.create({ baseURL: url })
const provider = oauth(http, {
  clientMetadata: { client_name: 'axios-oauth2 MCP example' },
  receiver: loopbackReceiver(),
})
provider.on('stepUp', ({ scope }) => console.error(`more access is needed: ${scope}`))

const client = new Client({ name: 'axios-oauth2-example', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: toFetch(http) }))
try {
  if (tool === undefined) {
    const { tools } = await client.listTools()
    for (const { name, description } of tools) console.log(`${name}: ${description ?? ''}`)
  } else {
    const { content } = await client.callTool({
      name: tool,
      arguments: JSON.parse(input) as Record<string, unknown>,
    })
    for (const part of content) console.log(part.type === 'text' ? part.text : `(${part.type})`)
  }
} finally {
  await client.close()
}

import { randomUUID } from 'node:crypto'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'

const adminTools = ['admin_report']

/** The tools both MCP servers offer: `echo`, `whoami`, and `admin_report`, which needs `mcp:admin`. */
function createMcpServer() {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const text = (value) => ({ content: [{ type: 'text', text: value }] })
  server.registerTool('echo', { description: 'Says it again', inputSchema: { text: z.string() } }, ({ text: said }) =>
    text(said),
  )
  server.registerTool(
    'whoami',
    { description: 'The caller as the token names it', inputSchema: {} },
    (_input, { authInfo }) => text(JSON.stringify({ clientId: authInfo.clientId, scopes: authInfo.scopes })),
  )
  server.registerTool('admin_report', { description: 'Needs mcp:admin', inputSchema: {} }, () => text('all is well'))
  return server
}

/** Whether a JSON-RPC message calls a tool that needs more than the endpoint itself. */
export function needsAdmin(body) {
  const messages = Array.isArray(body) ? body : [body]
  return messages.some((message) => message?.method === 'tools/call' && adminTools.includes(message.params?.name))
}

/** The Streamable HTTP endpoint of the SDK, one transport per session, as an Express handler behind any bearer check. */
export function mcpEndpoint() {
  const sessions = new Map()

  async function open() {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    })
    transport.onclose = () => sessions.delete(transport.sessionId)
    await createMcpServer().connect(transport)
    return transport
  }

  return async (request, response) => {
    const id = request.headers['mcp-session-id']
    const isNew = id === undefined && isInitializeRequest(request.body)
    const transport = isNew ? await open() : sessions.get(id)
    if (transport === undefined) {
      const message = id === undefined ? 'Bad Request: no session' : 'Session not found'
      response.status(id === undefined ? 400 : 404)
      return response.json({ jsonrpc: '2.0', error: { code: -32001, message }, id: null })
    }
    await transport.handleRequest(request, response, request.body)
  }
}

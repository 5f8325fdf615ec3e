import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const startDeadline = 20_000

/**
 * Starts one of the servers beside this file as a child process and resolves when it has told its URLs.
 * It ends with `stop()`, and with this process however that ends.
 */
export function startServer(name, flags = {}) {
  const script = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))
  // NODE_OPTIONS of a test runner or a debugger are not for the server.
  const env = { ...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1' }
  const child = spawn(process.execPath, [script, JSON.stringify(flags)], { stdio: ['pipe', 'pipe', 'pipe'], env })
  const handles = [child, child.stdin, child.stdout, child.stderr]
  const errors = []
  child.stderr.setEncoding('utf8').on('data', (text) => errors.push(text))
  // The pipe breaks when the child goes first; that is no failure of ours.
  child.stdin.on('error', () => {})

  return new Promise((resolve, reject) => {
    const fail = (why) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`${name} did not start: ${why}\n${errors.join('')}`))
    }
    const timer = setTimeout(() => fail(`no line within ${startDeadline} ms`), startDeadline)
    const exited = new Promise((done) => child.once('close', done))
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`exit code ${code}`))
    let line = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      line += text
      if (!line.includes('\n')) return
      clearTimeout(timer)
      child.stdout.removeAllListeners('data').resume()
      child.removeAllListeners('exit')
      // A server that a failing spec left behind must not keep the test runner waiting; it ends with the runner.
      for (const handle of handles) handle.unref()
      const { urls, pid } = JSON.parse(line)
      resolve({ name, pid, urls, control: controlOf(urls.control), stop, errors: () => errors.join('') })
    })
    async function stop() {
      for (const handle of handles) handle.ref()
      child.kill()
      await exited
    }
  })
}

/** What the control port of a server offers. */
function controlOf(url) {
  const ask = async (method, path, body) => {
    const response = await fetch(`${url}${path}`, { method, ...(body && { body: JSON.stringify(body) }) })
    const answer = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${answer.message}`)
    return answer
  }
  return {
    get: (path) => ask('GET', path),
    post: (path, body = {}) => ask('POST', path, body),
    journal: async () => (await ask('GET', '/journal')).entries,
    counters: async () => (await ask('GET', '/journal')).counters,
    reset: () => ask('POST', '/journal/reset'),
    fault: (order) => ask('POST', '/faults', order),
    held: (path, count = 1) => ask('POST', '/held', { path, count }),
    release: (path) => ask('POST', '/release', path === undefined ? {} : { path }),
  }
}

/**
 * Starts the authorization server with a protected API and an MCP server that accept its tokens and are its only
 * resources. Flags by server; `false` leaves one out.
 */
export async function startStack({ authorizationServer: asFlags = {}, api: apiFlags = {}, mcp: mcpFlags = {} } = {}) {
  const authorizationServer = await startServer('oidc-provider', asFlags)
  const { issuer } = authorizationServer.urls
  const started = [authorizationServer]
  const stop = () => Promise.all(started.map((server) => server.stop())).then(() => {})
  const startResource = async (name, flags) => {
    if (flags === false) return undefined
    const server = await startServer(name, { issuer, ...flags })
    started.push(server)
    await authorizationServer.control.post('/resources', { resource: server.urls.resource })
    return server
  }
  const results = await Promise.allSettled([
    startResource('protected-api', apiFlags),
    startResource('mcp-server', mcpFlags),
  ])
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) {
    await stop()
    throw failed.reason
  }
  await authorizationServer.control.reset()
  const [api, mcp] = results.map((result) => result.value)
  return { authorizationServer, api, mcp, stop }
}

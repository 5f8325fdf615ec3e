import { createServer } from 'node:http'

/** The flags of this process: one JSON object as the first argument. */
export function readFlags(defaults) {
  const given = JSON.parse(process.argv[2] ?? '{}')
  const unknown = Object.keys(given).filter((name) => !(name in defaults))
  if (unknown.length > 0) {
    throw new TypeError(`unknown flags: ${unknown.join(', ')}; known: ${Object.keys(defaults).join(', ')}`)
  }
  return { ...defaults, ...given }
}

/** Ends this process with its parent: the parent holds the other end of stdin, and the system closes it in any event. */
export function dieWithParent() {
  process.stdin.on('end', () => process.exit(0))
  process.stdin.on('error', () => process.exit(0))
  process.on('disconnect', () => process.exit(0))
  process.stdin.resume()
}

/** Listens on an ephemeral port of the loopback interface and returns the origin. */
export async function listen(listener) {
  const server = createServer(listener)
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${server.address().port}`
}

/**
 * Reserves the origin before the listener exists, for servers whose configuration names their own URL.
 * Returns the origin and a function that says what listens there.
 */
export async function reserve() {
  let listener = (_request, response) => response.writeHead(503).end()
  const origin = await listen((request, response) => listener(request, response))
  return { origin, use: (next) => (listener = next) }
}

/** Prints the one line that tells the parent where everything is. */
export function announce(name, urls) {
  process.stdout.write(`${JSON.stringify({ name, pid: process.pid, urls })}\n`)
}

/**
 * The control port: `{ 'POST /path': async (body) => answer }`. It is apart from the server under observation, so that
 * asking for the journal leaves no trace in it.
 */
export function startControl(routes) {
  return listen(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://control')
    const route = routes[`${request.method} ${pathname}`]
    try {
      if (!route)
        throw new Error(`no such control: ${request.method} ${pathname}; known: ${Object.keys(routes).join(', ')}`)
      const text = await readText(request)
      const answer = await route(text === '' ? {} : JSON.parse(text))
      sendJson(response, 200, answer ?? {})
    } catch (error) {
      sendJson(response, route ? 400 : 404, { message: error.message })
    }
  })
}

export function sendJson(response, status, value, headers = {}) {
  send(response, status, JSON.stringify(value), { 'content-type': 'application/json', ...headers })
}

/** Sets headers one by one: those given to `writeHead` cannot be read back, and the journal wants to. */
export function send(response, status, body, headers) {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(body)
}

export async function readBytes(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function readText(request) {
  return (await readBytes(request)).toString('utf8')
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, Endpoint, Entry, Misbehaviour, Outcome, ServerName } from './entry'

export interface HttpServerOptions {
  readonly name: ServerName
  /** The host name in the origin; the socket is bound to 127.0.0.1. */
  readonly host: string
  readonly classify: (url: string) => Endpoint
  /** Called when a request has arrived completely. */
  readonly record: (entry: Entry) => void
  readonly answer: (entry: Entry) => Promise<Outcome>
  /** Told what the answering side threw, so that no spec passes over it. */
  readonly failed: (error: unknown) => void
}

export interface HttpServer {
  readonly origin: string
  stop(): Promise<void>
}

type MutableEntry = { -readonly [K in keyof Entry]: Entry[K] }

/** A real server on a free loopback port, which records every request and answers as `answer` says. */
export async function startHttpServer(o: HttpServerOptions): Promise<HttpServer> {
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    request.on('error', () => undefined)
    serve(o, request, response).catch(o.failed)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { origin: `http://${o.host}:${port}`, stop: () => stop(server) }
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function serve(o: HttpServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await read(request)
  if (body === undefined) return
  const entry = entryOf(o, request, body)
  o.record(entry)
  try {
    const outcome = await o.answer(entry)
    if (typeof outcome === 'string') misbehave[outcome](request, response)
    else {
      entry.status = outcome.status ?? 200
      send(outcome, response)
    }
  } catch (error) {
    o.failed(error)
    entry.status = 500
    send({ status: 500, body: String(error) }, response)
  }
}

/** The whole body, or undefined when the client went away. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch {
    return undefined
  }
}

function entryOf(o: HttpServerOptions, request: IncomingMessage, body: Buffer): MutableEntry {
  const { method = '', url = '', headers } = request
  const type = headers['content-type'] ?? ''
  return {
    server: o.name,
    endpoint: o.classify(url),
    method,
    url,
    headers,
    body,
    ...(type.startsWith('application/x-www-form-urlencoded') ? { form: new URLSearchParams(body.toString()) } : {}),
    ...(type.includes('json') ? parsed(body.toString()) : {}),
    status: 0,
  }
}

function parsed(text: string): { json?: unknown } {
  try {
    return { json: JSON.parse(text) }
  } catch {
    return {}
  }
}

function send({ status = 200, headers = {}, body = '', open }: Answer, response: ServerResponse): void {
  const isText = typeof body === 'string'
  const bytes = isText || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  response.statusCode = status
  response.setHeader('Content-Type', isText ? 'text/plain' : 'application/json')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (open === true) response.write(bytes)
  else response.end(bytes)
}

const misbehave: Record<Misbehaviour, (request: IncomingMessage, response: ServerResponse) => void> = {
  reset: ({ socket }) => socket.resetAndDestroy(),
  hang: () => undefined,
  drip: (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 5)
    response.on('close', () => clearInterval(timer))
  },
  truncate: ({ socket }, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '4096' })
    response.write('{"truncated":"', () => socket.destroy())
  },
}

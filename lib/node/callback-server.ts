import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { looksGranted, parseCallbackQuery } from './callback-query'
import { pageHeaders, pages, type Page } from './pages'
import { PendingCallbacks } from './pending-callbacks'

/** How long (ms) connections that are open when a callback has been taken may still fetch their last page. */
const lingerTime = 100

interface Verdict {
  readonly page: Page
  readonly deliver?: () => void
}

/**
 * The HTTP server behind a loopback redirect URI (RFC 8252 §7.3). It takes a GET on its exact path with a state that is
 * waited for, and answers everything else without being impressed.
 */
export class CallbackServer {
  readonly callbacks: PendingCallbacks = new PendingCallbacks()
  readonly path: string
  readonly #server: Server
  #port = 0
  #hasTaken = false

  private constructor(path: string) {
    this.path = path
    this.#server = createServer(
      {
        maxHeaderSize: 96 * 1024, // a query that is too long gets its 400 and not a reset
        headersTimeout: 10_000,
        requestTimeout: 10_000,
        connectionsCheckingInterval: 2000,
      },
      (request, response) => this.#answer(request, response),
    )
    this.#server.maxConnections = 1000
    this.#server.on('clientError', refuseGarbage)
  }

  /**
   * Binds 127.0.0.1 (THREATS D6) at the port, 0 meaning any free one; rejects with the error of the operating system.
   * `exclusive` keeps a worker of a cluster from sharing the port with its siblings.
   */
  static async listen({ port, path }: { readonly port: number; readonly path: string }): Promise<CallbackServer> {
    const listener = new CallbackServer(path)
    const server = listener.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
        listener.#port = (server.address() as AddressInfo).port
        server.off('error', reject)
        server.on('error', () => undefined) // a connection that could not be accepted: the next one may be
        resolve()
      })
    })
    return listener
  }

  /** The port that was bound. */
  get port(): number {
    return this.#port
  }

  /**
   * Frees the port at once, then the connections: immediately when nothing was taken, else after they had a moment to
   * fetch the page that tells the person so.
   */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const destroy = (): void => this.#server.closeAllConnections()
    const timer = this.#hasTaken ? setTimeout(destroy, lingerTime) : destroy()
    await closed
    clearTimeout(timer ?? undefined)
    // The handles end in the turn of the event loop after `close` was emitted: then nothing of ours is left.
    await setImmediate()
    await setImmediate()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { page, deliver } = this.#judge(request)
    // Delivered when the page is out, so that a program that exits on success does not cut it off.
    if (deliver !== undefined) response.once('close', deliver)
    request.resume()
    response.writeHead(page.status, {
      ...pageHeaders,
      ...(page.status === 405 ? { Allow: 'GET' } : {}),
      'Content-Length': Buffer.byteLength(page.html),
      Connection: 'close',
    })
    response.end(page.html)
  }

  #judge(request: IncomingMessage): Verdict {
    if (request.method !== 'GET') return { page: pages.methodNotAllowed }
    const target = request.url ?? ''
    // Compared as it came: nothing is normalised, so no second spelling of the path exists.
    const [path = '', ...rest] = target.split('?')
    if (path !== this.path) return { page: pages.notFound }
    if (!this.#isOwnHost(request.headersDistinct['host'])) return { page: pages.wrongHost }
    const parameters = parseCallbackQuery(rest.join('?'))
    if (parameters === undefined) return { page: pages.malformed }
    const acceptance = this.callbacks.accept(parameters)
    if (acceptance === 'unknown') return { page: pages.unknown }
    if (acceptance === 'finished') return { page: pages.finished }
    this.#hasTaken = true
    const callback = `http://127.0.0.1:${this.port}${target}`
    return {
      page: looksGranted(parameters) ? pages.received : pages.notCompleted,
      deliver: () => acceptance(callback),
    }
  }

  /** A page of another origin whose name was made to resolve to this machine still sends its own name. */
  #isOwnHost(hosts: readonly string[] | undefined): boolean {
    const names = ['127.0.0.1', 'localhost']
    const own = [...names.map((name) => `${name}:${this.port}`), ...(this.port === 80 ? names : [])]
    return hosts?.length === 1 && own.includes(hosts[0]?.toLowerCase() ?? '')
  }
}

/** What the HTTP parser refuses (NUL bytes, endless headers, silence) gets a bare 400 and is gone. */
function refuseGarbage(_error: Error, duplex: unknown): void {
  const socket = duplex as Socket
  if (!socket.writable) return void socket.destroy()
  socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy())
}

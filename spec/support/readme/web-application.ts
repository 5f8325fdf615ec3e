import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** What the middleware puts on a request. */
interface Browser {
  readonly session: { user: string; state?: string }
}
type Handler = (request: never, response: never) => Promise<void>

/** What is used of express, whose types are no dependency of ours. */
interface Express {
  use(middleware: (request: IncomingMessage, response: ServerResponse, next: () => void) => void): void
  get(path: string, handler: Handler): void
  listen(port: number, host: string, listening: () => void): Server
}
const express = require('express') as () => Express

/** An express application with one session per browser, whose routes are set once its address is known. */
export interface WebApplication {
  readonly origin: string
  readonly sessions: Map<string, Browser['session']>
  route(path: string, handler: Handler): void
  stop(): Promise<void>
}

export async function startWebApplication(): Promise<WebApplication> {
  const sessions = new Map<string, Browser['session']>()
  const app = express()
  app.use((request, response, next) => {
    const id = /sid=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? randomUUID()
    if (!sessions.has(id)) sessions.set(id, { user: id })
    response.setHeader('set-cookie', `sid=${id}`)
    Object.assign(request, { session: sessions.get(id) })
    next()
  })
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions,
    route: (path, handler) => app.get(path, handler),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** A browser that keeps the application's cookie and follows redirects within the application. */
export class AppBrowser {
  cookie = ''

  /** Opens a page; the answer is the last one inside the application, or the address outside that it leads to. */
  async open(url: string, method = 'GET'): Promise<{ status: number; text: string; leadsTo: string | undefined }> {
    const response = await fetch(url, { method, redirect: 'manual', headers: { cookie: this.cookie } })
    this.cookie = response.headers.get('set-cookie') ?? this.cookie
    const text = await response.text()
    const location = response.headers.get('location')
    if (location === null) return { status: response.status, text, leadsTo: undefined }
    const next = new URL(location, url)
    return next.origin === new URL(url).origin
      ? this.open(next.href)
      : { status: response.status, text, leadsTo: next.href }
  }
}

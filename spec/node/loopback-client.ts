import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { loopbackReceiver } from '../../lib/node'
import type { LoopbackReceiverOptions } from '../../lib/node'
import type { AuthorizationReceiver, ReceiverSession } from '../../lib/receiver'

/** A state as the flow draws it. */
export const state: string = 'pYt4nVw0q8Zr6Kc2Xs1Lb9Td3Fh5Gj7M'
export const authorizationUrl: string = `https://as.example.com/authorize?client_id=c1&state=${state}`

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Sends one request to the receiver, exactly as told. */
export function send(
  redirectUri: string,
  o: { target?: string; method?: string; headers?: Record<string, string | string[]> } = {},
): Promise<Answer> {
  const { port, pathname } = new URL(redirectUri)
  return new Promise((resolve, reject) => {
    const { target: path = pathname, method = 'GET', headers = {} } = o
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    outgoing.on('error', reject).end()
  })
}

/** Writes raw bytes to the receiver and resolves with all that comes back before the connection ends. */
export function sendRaw(redirectUri: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let received = ''
    const socket = connect(Number(new URL(redirectUri).port), '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk))
    socket.on('error', () => undefined).on('close', () => resolve(received))
  })
}

/** Whether something listens at the port of the redirect URI. */
export function isListening(redirectUri: string, host: string = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port: Number(new URL(redirectUri).port), host })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** A terminal's two ends: what the person reads, and what the person types. */
export class Terminal {
  readonly input: PassThrough & { isTTY: boolean } = Object.assign(new PassThrough(), { isTTY: true })
  shown = ''
  readonly output: Writable
  #watchers: { text: string; seen: () => void }[] = []

  constructor() {
    this.output = new Writable({
      write: (chunk, _encoding, done) => {
        this.shown += String(chunk)
        for (const { text, seen } of this.#watchers) if (this.shown.includes(text)) seen()
        done()
      },
    })
  }

  type(text: string): void {
    this.input.write(text)
  }

  /** Resolves once the text has been shown. */
  sees(text: string): Promise<void> {
    if (this.shown.includes(text)) return Promise.resolve()
    return new Promise((seen) => this.#watchers.push({ text, seen }))
  }
}

/** Receivers that are closed after each spec, with a terminal that is silent unless the spec types. */
export class ReceiverBench {
  readonly terminal: Terminal = new Terminal()
  readonly #sessions: ReceiverSession[] = []

  receiver(options: LoopbackReceiverOptions = {}): AuthorizationReceiver {
    const { input, output } = this.terminal
    return loopbackReceiver({ openBrowser: false, input, output, ...options })
  }

  async open(
    receiver: AuthorizationReceiver = this.receiver(),
    registered?: readonly string[],
  ): Promise<ReceiverSession> {
    const session = await receiver.open({ registered })
    this.#sessions.push(session)
    return session
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()))
  }
}

/** Waits for the callback of the state, for as long as the spec runs. */
export function wait(session: ReceiverSession, o: { state?: string; signal?: AbortSignal } = {}): Promise<URL> {
  const callback = session.callbackHandler({ state, signal: new AbortController().signal, ...o })
  return callback.then((url) => new URL(String(url)))
}

import { get } from 'node:http'
import { Barrier, type Gate } from './script'

type Mood = 'approve' | 'deny' | 'leave'

interface Visit {
  readonly state: string | null
  readonly callback: Promise<string>
  claimed: boolean
}

/** The header that tells the authorization server what the person chose on its page. */
export const choiceHeader = 'x-person'

/** The scripted person: opens the authorization URL, decides, and comes back with the callback URL. Approves at first. */
export class User {
  /** The authorization URLs in the order they were opened. */
  readonly visits: URL[] = []
  readonly #open: Visit[] = []
  #mood: Mood = 'approve'
  #rewrite: (callbackUrl: string) => string = (url) => url
  #barrier: Barrier<URL> | undefined
  #wake: (() => void)[] = []

  /** Back to honest: approves, and leaves callback URLs as they are. */
  approve(): void {
    this.#mood = 'approve'
    this.#rewrite = (url) => url
  }

  /** Declines from now on. */
  deny(): void {
    this.#mood = 'deny'
  }

  /** Opens the page and never comes back, from now on. */
  leave(): void {
    this.#mood = 'leave'
  }

  /** Changes the callback URLs from now on. */
  rewrite(change: (callbackUrl: string) => string): void {
    this.#rewrite = change
  }

  /** The person waits before opening the page, so that the authorization server has seen nothing yet. */
  hold(): Gate<URL> {
    this.#barrier = new Barrier()
    return this.#barrier
  }

  /** Goes through a sign-in as the person and gives the callback URL: for startAuthorization() and the like. */
  visit(url: string): Promise<string> {
    const callback = this.#visit(new URL(url))
    callback.catch(() => undefined)
    this.#open.push({ state: new URL(url).searchParams.get('state'), callback, claimed: false })
    for (const wake of this.#wake.splice(0)) wake()
    return callback
  }

  readonly redirectHandler = (url: string): void => {
    this.visit(url).catch(() => undefined)
  }

  readonly callbackHandler = (o: { state: string; signal: AbortSignal }): Promise<string> => {
    const { state, signal } = o
    const aborted = new Promise<never>((_resolve, reject) => {
      const fail = (): void => reject(signal.reason as Error)
      if (signal.aborted) fail()
      signal.addEventListener('abort', fail, { once: true })
    })
    return Promise.race([this.#callbackFor(state), aborted])
  }

  stop(): void {
    this.#barrier?.release()
  }

  /** The visit with this state; a pushed request hides it, then the oldest visit without one. */
  async #callbackFor(state: string): Promise<string> {
    for (;;) {
      const open = this.#open.filter(({ claimed }) => !claimed)
      const visit = open.find((one) => one.state === state) ?? open.find((one) => one.state === null)
      if (visit !== undefined) {
        visit.claimed = true
        return visit.callback
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  async #visit(url: URL): Promise<string> {
    this.visits.push(url)
    await this.#barrier?.pass(url)
    const mood = this.#mood
    const page = await open(url, mood)
    if (mood === 'leave') return new Promise(() => undefined)
    if (page.location === undefined) throw new Error(`The person sees an error page: ${page.status} ${page.text}`)
    return this.#rewrite(page.location)
  }
}

function open(url: URL, mood: Mood): Promise<{ status: number; location?: string; text: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers: { [choiceHeader]: mood, accept: 'text/html' } }, (response) => {
      const { statusCode: status = 0, headers } = response
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status, text, ...(headers.location && { location: headers.location }) }))
    }).on('error', reject)
  })
}

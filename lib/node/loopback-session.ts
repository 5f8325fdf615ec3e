import { checkAuthorizationUrl } from '../protocol/endpoint'
import type { ReceiverSession } from '../receiver'
import { parseCallbackQuery, pastedQuery } from './callback-query'
import { invite } from './invitation'
import type { LoopbackReceiverOptions } from './loopback-options'
import { canReadPastes, readPastes } from './paste'
import { closedError, type PendingCallbacks } from './pending-callbacks'

/** What a {@link LoopbackSession} works with: the listener's callbacks, and how to give the listener back. */
export interface LoopbackSessionParts {
  readonly redirectUri: string
  readonly callbacks: PendingCallbacks
  readonly options: LoopbackReceiverOptions
  readonly release: () => Promise<void>
}

/** One user of a listener: its states, its conversation with the person, and its end. */
export class LoopbackSession implements ReceiverSession {
  readonly redirectUri: string
  readonly #parts: LoopbackSessionParts
  readonly #states = new Set<string>()
  #stopPasting: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(parts: LoopbackSessionParts) {
    this.redirectUri = parts.redirectUri
    this.#parts = parts
  }

  /**
   * Opens the browser or prints the URL, and returns at once: the launcher is not waited for.
   *
   * @throws OAuthAuthorizationError `OAUTH_URL_FORBIDDEN` for a URL that must not be opened
   */
  redirectHandler(url: string): void {
    const address = checkAuthorizationUrl(url)
    this.#expectStateOf(address)
    const { openBrowser: launcher, output = process.stderr } = this.#parts.options
    const write = (text: string): void => void output.write(text)
    invite({ url: address, launcher, write, isOpen: () => this.#closing === undefined })
    this.#offerPaste(write)
  }

  async callbackHandler({ state, signal }: { state: string; signal: AbortSignal }): Promise<string> {
    if (this.#closing !== undefined) throw closedError()
    this.#states.add(state)
    try {
      return await this.#parts.callbacks.wait({ state, signal })
    } finally {
      if (!this.#parts.callbacks.isWaiting(this.#states)) this.#stopPasting?.()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#release()
    return this.#closing
  }

  /** A browser that is already signed in may be back before anybody waits. A pushed request has no state in its URL. */
  #expectStateOf(address: string): void {
    const state = new URL(address).searchParams.get('state')
    if (state === null || state === '' || this.#closing !== undefined) return
    this.#states.add(state)
    this.#parts.callbacks.expect(state)
  }

  #offerPaste(write: (text: string) => void): void {
    const { input = process.stdin } = this.#parts.options
    if (this.#closing !== undefined || !canReadPastes(input)) return
    write(
      'If the browser cannot come back to this machine, paste the address at which it ends here, and press Enter.\n',
    )
    this.#stopPasting = readPastes({
      input,
      accept: (text) => {
        if (this.#acceptPaste(text)) return !this.#parts.callbacks.isWaiting(this.#states)
        write('This is not the answer to this sign-in. Paste the whole address that the browser shows.\n')
        return false
      },
    })
  }

  #acceptPaste(text: string): boolean {
    const query = pastedQuery(text)
    const parameters = parseCallbackQuery(query)
    if (parameters === undefined) return false
    const acceptance = this.#parts.callbacks.accept(parameters)
    if (typeof acceptance === 'string') return false
    acceptance(`${this.redirectUri.replace(/\?.*$/, '')}?${query}`)
    return true
  }

  async #release(): Promise<void> {
    this.#stopPasting?.()
    for (const state of this.#states) this.#parts.callbacks.drop(state)
    await this.#parts.release()
  }
}

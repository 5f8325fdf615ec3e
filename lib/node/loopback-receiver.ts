import { OAuthAuthorizationError } from '../errors'
import { Mutex } from '../mutex'
import type { AuthorizationReceiver, ReceiverSession } from '../receiver'
import { CallbackServer } from './callback-server'
import { checkLoopbackOptions, type LoopbackReceiverOptions } from './loopback-options'
import { LoopbackSession } from './loopback-session'
import { knownRedirectUris, redirectCandidates, type RedirectCandidate } from './redirect-candidates'

interface Listener {
  readonly server: CallbackServer
  users: number
}

/**
 * Receives the callback of a sign-in on this machine (RFC 8252 §7.3): binds 127.0.0.1 while a sign-in is under way,
 * opens the system browser, prints the URL where none can open, and accepts a pasted callback URL on a terminal.
 *
 * One receiver may serve several providers and several sign-ins at once.
 *
 * @throws TypeError for a wrong option
 */
export function loopbackReceiver(options: LoopbackReceiverOptions = {}): AuthorizationReceiver {
  return new LoopbackReceiver(checkLoopbackOptions(options))
}

class LoopbackReceiver implements AuthorizationReceiver {
  declare readonly redirectUris?: readonly string[]
  readonly #options: LoopbackReceiverOptions
  readonly #opening = new Mutex()
  readonly #listeners = new Set<Listener>()

  constructor(options: LoopbackReceiverOptions) {
    this.#options = options
    const redirectUris = knownRedirectUris(options)
    if (redirectUris !== undefined) this.redirectUris = redirectUris
  }

  /**
   * Binds the port of a registered redirect URI, else the first free one of the listed ports, else any.
   *
   * @throws OAuthAuthorizationError `OAUTH_CALLBACK_INVALID` when none can be bound; the message lists them
   */
  async open({ registered }: { registered: readonly string[] | undefined }): Promise<ReceiverSession> {
    // One after the other: of two sign-ins that start together, the second finds the listener of the first.
    return this.#opening.run(async () => {
      const failures: PortFailure[] = []
      for (const candidate of redirectCandidates(this.#options, registered)) {
        const listener = await this.#listen(candidate).catch((cause: unknown) => {
          failures.push({ port: candidate.port, cause })
        })
        if (listener === undefined) continue
        listener.users += 1
        return new LoopbackSession({
          redirectUri: candidate.redirectUri(listener.server.port),
          callbacks: listener.server.callbacks,
          options: this.#options,
          release: () => this.#release(listener),
        })
      }
      throw noPortError(failures)
    })
  }

  async #listen({ port, path }: RedirectCandidate): Promise<Listener> {
    for (const listener of this.#listeners) {
      if (port !== 0 && listener.server.port === port && listener.server.path === path) return listener
    }
    const listener = { server: await CallbackServer.listen({ port, path }), users: 0 }
    this.#listeners.add(listener)
    return listener
  }

  async #release(listener: Listener): Promise<void> {
    listener.users -= 1
    if (listener.users > 0) return
    this.#listeners.delete(listener)
    await listener.server.close()
  }
}

interface PortFailure {
  readonly port: number
  readonly cause: unknown
}

function noPortError(failures: readonly PortFailure[]): OAuthAuthorizationError {
  const tried = new Map(failures.map(({ port, cause }) => [port, errorCode(cause)]))
  const list = [...tried].map(([port, code]) => `${port === 0 ? 'any port' : port} (${code})`).join(', ')
  return new OAuthAuthorizationError(`The callback of the sign-in cannot be received: no port is free of ${list}`, {
    code: 'OAUTH_CALLBACK_INVALID',
    hint: 'Close the program that uses the port, or give loopbackReceiver() further ports.',
    cause: failures[0]?.cause,
  })
}

function errorCode(cause: unknown): string {
  const { code } = Object(cause) as { code?: unknown }
  return typeof code === 'string' ? code : 'unknown error'
}

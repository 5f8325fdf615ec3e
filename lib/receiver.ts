/**
 * How a person is asked to sign in and how the answer comes back: the redirect URI and the two handlers in one. The
 * loopback receiver of the Node entry is one; an application with its own scheme or window writes another.
 */
export interface AuthorizationReceiver {
  /** What is known at construction of the redirect URIs (fixed ports), so that options can be validated. */
  readonly redirectUris?: readonly string[]
  /**
   * The redirect URI to register and to send. Called before registration, while the session is locked: it binds what it
   * must bind, and asks nobody.
   * `registered` are the redirect URIs of a stored registration, to be reused first (port).
   */
  open(o: { registered: readonly string[] | undefined }): Promise<ReceiverSession>
}

/** What an {@link AuthorizationReceiver} holds open for one sign-in or several; whoever opened it closes it. */
export interface ReceiverSession {
  readonly redirectUri: string
  /** Shows the URL to the person (opens the browser, prints). Must not throw for a launcher that fails: the wait goes on. */
  redirectHandler(url: string): void | Promise<void>
  /** Resolves with the callback for `state`; rejects when `signal` aborts. */
  callbackHandler(o: { state: string; signal: AbortSignal }): Promise<string | URL | URLSearchParams>
  /** Releases everything; the port is free and nothing keeps the process alive once it resolves. */
  close(): Promise<void>
}

import type { AuthorizationReceiver } from '../../../lib/receiver'

export interface VisitOptions {
  /** Needed only where the authorization URL does not carry it (pushed requests). */
  readonly redirectUri?: string
}

/** The person with a browser, scripted. One instance keeps its cookies, so a second visit finds the session. */
export class UserAgent {
  readonly hops: number
  /** Goes through login and consent and returns the callback URL, unvisited. */
  authorize(authorizationUrl: string | URL, options?: VisitOptions): Promise<string>
  /** The same, and visits the callback, as a browser does with a loopback receiver. */
  signIn(
    authorizationUrl: string | URL,
    options?: VisitOptions,
  ): Promise<{ callback: string; status: number; text: string }>
  /** Confirms a device at its `verification_uri_complete` and returns the last page. */
  approveDevice(verificationUriComplete: string | URL): Promise<{ status: number; text: string }>
}

/** A receiver without a browser and without a port, for specs that are not about the loopback receiver. */
export function scriptedReceiver(person?: UserAgent): AuthorizationReceiver

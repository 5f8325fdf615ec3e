import { clientAuthentications } from './index'
import type { AuthenticatedRequest, AuthenticationContext, ClientAuthentication } from './client-authentication'
import { withDeadline } from '../deadline'
import { metadataOf } from '../metadata/discovered-server'
import { OAuthRegistrationError, quote } from '../errors'
import { chooseAuthenticationMethod } from '../protocol/registration'
import type { Settings } from '../settings'
import type { DiscoveredServer, KnownClient } from '../storage/record'

/** Proves to a server who the client is: by exactly one method per request, and the same one at every endpoint. */
export class ClientAuthenticator {
  readonly #settings: Settings
  readonly #methods: Readonly<Record<string, ClientAuthentication>>

  constructor(settings: Settings) {
    this.#settings = settings
    this.#methods = clientAuthentications(settings)
  }

  /** Adds the proof to the request, and then lets the option `clientAuthentication` change what it likes. */
  async authenticate(request: AuthenticatedRequest, server: DiscoveredServer, client: KnownClient): Promise<void> {
    const { clientAuthentication, requestTimeout, now, random, clockTolerance } = this.#settings
    const known = this.#withConfiguredSecret(client)
    const signingAlgorithms = metadataOf(server).token_endpoint_auth_signing_alg_values_supported
    const context: AuthenticationContext = {
      client: known,
      issuer: server.issuer,
      signingAlgorithms,
      now,
      random,
      clockTolerance,
    }
    await this.#method(known, server)(request, context)
    if (clientAuthentication === undefined) return
    await withDeadline(
      () => clientAuthentication(request, context),
      requestTimeout,
      'waiting for clientAuthentication()',
    )
  }

  /** The shared secret of a client, which must not be quoted back. */
  secretOf(client: KnownClient): string | undefined {
    return this.#withConfiguredSecret(client).client_secret
  }

  /** Whether the client has nothing to prove who it is with (RFC 6749 §2.1). */
  isPublic(client: KnownClient, server: DiscoveredServer): boolean {
    return this.#methodName(this.#withConfiguredSecret(client), server) === 'none'
  }

  #methodName(client: KnownClient, server: DiscoveredServer): string {
    const hasKey = Object.hasOwn(this.#methods, 'private_key_jwt')
    return chooseAuthenticationMethod({ client: { ...client, hasKey }, server: metadataOf(server) })
  }

  #method(client: KnownClient, server: DiscoveredServer): ClientAuthentication {
    const name = this.#methodName(client, server)
    const method = Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined
    if (method !== undefined) return method
    throw new OAuthRegistrationError(
      `The client is registered for the authentication method ${quote(name)}, which is not supported.`,
      {
        code: 'OAUTH_REGISTRATION_FAILED',
        endpoint: server.issuer,
        hint: 'Register it for another method, or set `clientAuthentication`.',
      },
    )
  }

  /** A configured secret lives in the options only. */
  #withConfiguredSecret(client: KnownClient): KnownClient {
    const { clientInformation } = this.#settings
    if (client.source !== 'static' || clientInformation?.client_secret === undefined) return client
    return { ...client, client_secret: clientInformation.client_secret }
  }
}

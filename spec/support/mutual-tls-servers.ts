import type { ClientInformation } from 'axios-oauth2'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createHash } from 'node:crypto'
import { decodeProtectedHeader, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import type { Authority } from './certificates'

/** A request as one of the servers saw it. */
export interface TlsRequest {
  readonly at: 'front' | 'mutual'
  readonly path: string
  readonly form: URLSearchParams
  readonly authorization: string | undefined
  /** The common name of the certificate that the client showed. */
  readonly certificate: string | undefined
  readonly status: number
}

/** An API with its authorization server over real TLS (RFC 8705): nothing but a certificate authenticates. */
export interface MutualTlsServers {
  readonly serverUrl: string
  readonly issuer: string
  /** Where a certificate is required: the handshake fails without one. */
  readonly alias: string
  readonly requests: TlsRequest[]
  stop(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

const clientId = 'machine with a certificate'

/**
 * Starts both: the front, where a certificate is taken note of, with metadata, API and the conventional endpoints, and the
 * endpoints of `mtls_endpoint_aliases`. The registered client has the common name of its id.
 */
export async function startMutualTlsServers(authority: Authority): Promise<MutualTlsServers> {
  const keys = await generateKeyPair('ES256')
  const requests: TlsRequest[] = []
  const stops: (() => Promise<void>)[] = []
  const origins = { front: '', mutual: '' }

  async function token(request: Omit<TlsRequest, 'status'>, thumbprint: string | undefined): Promise<Answer> {
    const known = request.form.get('client_id') === clientId && request.certificate === clientId
    if (request.at === 'front' || !known) return { status: 401, body: { error: 'invalid_client' } }
    if (request.path === '/revoke') return { status: 200, body: {} }
    const access_token = await new SignJWT({ sub: clientId, cnf: { 'x5t#S256': thumbprint } })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setAudience(request.form.get('resource') ?? '')
      .setExpirationTime('5 min')
      .sign(keys.privateKey)
    return { status: 200, body: { access_token, token_type: 'Bearer', expires_in: 300 } }
  }

  /** RFC 8705 §3: "the protected resource MUST obtain […] the client certificate […] and MUST verify that […] matches". */
  async function api(authorization: string | undefined, thumbprint: string | undefined): Promise<Answer> {
    const url = `${origins.front}/.well-known/oauth-protected-resource/api`
    const refusal = { status: 401, headers: { 'www-authenticate': `Bearer resource_metadata="${url}"` } }
    const [, bearer = ''] = /^Bearer (.+)$/.exec(authorization ?? '') ?? []
    try {
      const { payload } = await jwtVerify(bearer, keys.publicKey, { audience: `${origins.front}/api` })
      const bound = (payload.cnf as Record<string, unknown> | undefined)?.['x5t#S256'] === thumbprint
      return bound && decodeProtectedHeader(bearer).typ === 'at+jwt' ? { status: 200, body: { ok: true } } : refusal
    } catch {
      return refusal
    }
  }

  async function answer(request: Omit<TlsRequest, 'status'>, thumbprint: string | undefined): Promise<Answer> {
    const { front, mutual } = origins
    switch (request.path) {
      case '/api/notes':
        return api(request.authorization, thumbprint)
      case '/.well-known/oauth-protected-resource/api':
        return { status: 200, body: { resource: `${front}/api`, authorization_servers: [front] } }
      case '/.well-known/oauth-authorization-server':
        return {
          status: 200,
          body: {
            issuer: front,
            token_endpoint: `${front}/token`,
            revocation_endpoint: `${front}/revoke`,
            response_types_supported: [],
            token_endpoint_auth_methods_supported: ['tls_client_auth'],
            mtls_endpoint_aliases: { token_endpoint: `${mutual}/token`, revocation_endpoint: `${mutual}/revoke` },
          },
        }
      case '/token':
      case '/revoke':
        return token(request, thumbprint)
      default:
        return { status: 404 }
    }
  }

  async function serve(at: TlsRequest['at'], message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const peer = (message.socket as TLSSocket).getPeerCertificate()
    const commonName: unknown = peer.subject?.CN
    const request = {
      at,
      path: message.url ?? '',
      form: new URLSearchParams(Buffer.concat(chunks).toString()),
      authorization: message.headers.authorization,
      certificate: typeof commonName === 'string' ? commonName : undefined,
    }
    const thumbprint = peer.raw && createHash('sha256').update(peer.raw).digest('base64url')
    const { status, body, headers } = await answer(request, thumbprint)
    requests.push({ ...request, status })
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body ?? {}))
  }

  for (const at of ['front', 'mutual'] as const) {
    const options = { ...authority.issue('127.0.0.1'), ca: authority.ca, requestCert: true }
    const server = createServer({ ...options, rejectUnauthorized: at === 'mutual' }, (message, response) => {
      void serve(at, message, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origins[at] = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    stops.push(() => new Promise((resolve) => (server.close(() => resolve()), server.closeAllConnections())))
  }
  return {
    serverUrl: `${origins.front}/api`,
    issuer: origins.front,
    alias: origins.mutual,
    requests,
    stop: () => Promise.all(stops.map((stop) => stop())).then(() => undefined),
  }
}

/** The client that the servers know by its certificate. */
export const certifiedClient: ClientInformation = {
  client_id: clientId,
  token_endpoint_auth_method: 'tls_client_auth',
}

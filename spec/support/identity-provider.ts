import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JSONWebKeySet, type JWTPayload } from 'jose'

const type = (name: string): string => `urn:ietf:params:oauth:token-type:${name}`

/** A company's identity provider, or a platform that signs tokens of its workloads: real signatures, on loopback. */
export interface IdentityProvider {
  readonly issuer: string
  readonly jwks: JSONWebKeySet
  /** The client of the application here. */
  readonly client: { readonly clientId: string; readonly clientSecret: string }
  /** Forms that came to the token endpoint. */
  readonly exchanges: readonly URLSearchParams[]
  /** A JWT about Alice that is good for five minutes, with other claims or lifetime (seconds) where given. */
  sign(claims: JWTPayload, o?: { readonly typ?: string; readonly expiresIn?: number }): Promise<string>
  stop(): Promise<void>
}

/** Starts it. Its token endpoint exchanges ID tokens of this client for ID-JAGs, and does nothing else. */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const key = { ...(await exportJWK(publicKey)), kid: 'company', alg: 'ES256', use: 'sig' }
  const client = { clientId: 'desk at the company', clientSecret: 'a secret: of+the desk' }
  const exchanges: URLSearchParams[] = []
  let issuer = ''

  const sign = (claims: JWTPayload, { typ = 'JWT', expiresIn = 300 } = {}): Promise<string> => {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({
      iss: issuer,
      sub: 'alice',
      jti: crypto.randomUUID(),
      iat: now,
      exp: now + expiresIn,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'company', typ })
      .sign(privateKey)
  }

  /** Token exchange for an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant §4.3). */
  async function exchange(form: URLSearchParams): Promise<object> {
    const expected = { issuer, audience: client.clientId }
    await jwtVerify(form.get('subject_token') ?? '', publicKey, expected)
    const [aud, resource, scope] = ['audience', 'resource', 'scope'].map((name) => form.get(name) ?? '')
    const granted = { aud: aud!, resource, scope, client_id: 'app' }
    const access_token = await sign(granted, { typ: 'oauth-id-jag+jwt', expiresIn: 60 })
    return { access_token, issued_token_type: type('id-jag'), token_type: 'N_A', expires_in: 60, scope }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (request.url === '/.well-known/oauth-authorization-server') {
      return answer(200, { issuer, token_endpoint: `${issuer}/token`, response_types_supported: [] })
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    exchanges.push(form)
    if (request.url !== '/token' || request.headers.authorization !== basic(client)) {
      return answer(401, { error: 'invalid_client' })
    }
    try {
      answer(200, await exchange(form))
    } catch {
      answer(400, { error: 'invalid_grant', error_description: `not good: ${form.get('subject_token')}` })
    }
  }

  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = (): Promise<void> =>
    new Promise((resolve) => (server.close(() => resolve()), server.closeAllConnections()))
  return { issuer, jwks: { keys: [key] }, client, exchanges, sign, stop }
}

function basic({ clientId, clientSecret }: IdentityProvider['client']): string {
  const encode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
  return `Basic ${btoa(`${encode(clientId)}:${encode(clientSecret)}`)}`
}

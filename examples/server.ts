/**
 * A web server with many users, each with a session of their own at the protected API. No framework: what matters is
 * where `partition`, `startAuthorization` and `finishAuthorization` go.
 *
 *     node examples/server.ts https://api.example.com/v1 /notes
 *
 * Needs `npm run build` and a Node that strips types (22.18 or later). Open the address it prints in two browsers.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import axios, { isAxiosError } from 'axios'
import { isOAuthFlowError, MemoryTokenStorage, OAuthClientProvider, oauth, type OAuthOptions } from 'axios-oauth2'

const [baseURL, path = '/'] = process.argv.slice(2)
if (baseURL === undefined) {
  console.error('usage: server.ts <URL of the API> [<path to show>]')
  process.exit(2)
}

/** One browser. A real application has its own sign-in and its own session store. */
interface Session {
  readonly user: string
  state?: string
}
const sessions = new Map<string, Session>()

const server = createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    console.error(isOAuthFlowError(error) ? `${error.code}: ${error.message}` : 'request failed')
    if (!response.headersSent) send(response, 502, 'Something went wrong. Please try again.')
  })
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const options: OAuthOptions = {
  serverUrl: baseURL,
  storage: new MemoryTokenStorage(),
  clientMetadata: { client_name: 'axios-oauth2 web example', redirect_uris: [`${origin}/oauth/callback`] },
}
const api = axios.create({ baseURL })
oauth(api, options)
const providers = new Map<string, OAuthClientProvider>()
console.log(`listening on ${origin}`)

function providerOf({ user }: Session): OAuthClientProvider {
  const provider = providers.get(user) ?? new OAuthClientProvider({ ...options, partition: user })
  providers.set(user, provider)
  return provider
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', origin)
  const session = sessionOf(request, response)
  switch (`${request.method} ${pathname}`) {
    case 'GET /':
      return show(session, response)
    case 'GET /oauth/callback':
      return finishSignIn(session, searchParams, response)
    case 'POST /logout':
      await providerOf(session).signOut()
      return send(response, 200, 'Signed out.')
    default:
      return send(response, 404, 'Not found.')
  }
}

/** What the API has for this user; who has not signed in, or not for enough, is sent to do so. */
async function show(session: Session, response: ServerResponse): Promise<void> {
  try {
    const { data } = await api.get<unknown>(path, { oauth: { provider: providerOf(session) } })
    send(response, 200, JSON.stringify(data))
  } catch (error) {
    if (isOAuthFlowError(error) && error.authorizationUrl !== undefined) {
      return signIn(session, response, error.requiredScope)
    }
    if (!isAxiosError(error) || error.response === undefined) throw error
    send(response, 502, `The API answered ${error.response.status}.`)
  }
}

async function signIn(session: Session, response: ServerResponse, scope: string | undefined): Promise<void> {
  const { url, state } = await providerOf(session).startAuthorization(scope === undefined ? {} : { scope })
  session.state = state
  redirect(response, url)
}

/** The state must be that of this very browser: a link from somebody else must not sign it in to their account. */
async function finishSignIn(session: Session, callback: URLSearchParams, response: ServerResponse): Promise<void> {
  if (session.state === undefined || callback.get('state') !== session.state) {
    return send(response, 400, 'This sign-in was not started here. Please start again.')
  }
  delete session.state
  try {
    await providerOf(session).finishAuthorization(callback)
  } catch (error) {
    if (!isOAuthFlowError(error) || error.code !== 'OAUTH_AUTHORIZATION_DENIED') throw error
    return send(response, 403, 'You did not allow access.')
  }
  redirect(response, '/')
}

function sessionOf(request: IncomingMessage, response: ServerResponse): Session {
  const known = sessions.get(/(?:^|; )sid=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '')
  if (known !== undefined) return known
  const id = randomUUID()
  const session: Session = { user: randomUUID() }
  sessions.set(id, session)
  response.setHeader('set-cookie', `sid=${id}; HttpOnly; SameSite=Lax; Path=/`)
  return session
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(302, { location }).end()
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}

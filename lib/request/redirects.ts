import { OAuthFlowError } from '../errors'
import { isLoopbackUrl } from '../protocol/endpoint'
import type { ProtectedUrls } from './protected-urls'

/** The options of the request that a redirect leads to, as Node's HTTP client takes them; changed in place. */
interface RedirectedRequest {
  href?: string
  method?: string
  headers?: Record<string, unknown>
}

/** What `beforeRedirect` of axios is handed besides. */
export type BeforeRedirect = (options: Record<string, unknown>, response: never, request: never) => void

/** Headers that another server must not see, whoever set them: they name a session or are credentials. */
const private_ = /^(authorization|proxy-authorization|dpop|cookie|mcp-session-id|x-.*)$/i
const ours = /^(authorization|dpop)$/i

/**
 * The redirect policy of requests with a token (THREATS RQ-01…04): within the resource it stays; beyond it the request
 * goes on without credentials, or not at all when it would carry a body or leave https.
 */
export function redirectPolicy(urls: ProtectedUrls, serverUrl: string): BeforeRedirect {
  return (options) => {
    const request = options as RedirectedRequest
    const { href = '', method = 'GET' } = request
    if (urls.placeOf(href) === 'inside') return
    if (!/^(GET|HEAD)$/i.test(method) || !mayFollow(href, serverUrl)) throw refused(href)
    request.headers = Object.fromEntries(Object.entries(request.headers ?? {}).filter(([name]) => !private_.test(name)))
  }
}

/** The same policy first, then the caller's own hook, which cannot lift it. */
export function chainRedirects(policy: BeforeRedirect, own: BeforeRedirect): BeforeRedirect {
  return (options, response, request) => {
    policy(options, response, request)
    const kept = options.headers as Record<string, unknown> | undefined
    const allowed = Object.keys(kept ?? {}).some((name) => ours.test(name))
    own(options, response, request)
    const headers = options.headers as Record<string, unknown> | undefined
    if (allowed || headers === undefined) return
    for (const name of Object.keys(headers)) if (ours.test(name)) delete headers[name]
  }
}

/** A redirect never leaves https; a server on loopback that has none may lead to another such. */
function mayFollow(href: string, serverUrl: string): boolean {
  if (!URL.canParse(href)) return false
  const { protocol } = new URL(href)
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackUrl(href) && /^http:/i.test(serverUrl))
}

function refused(href: string): OAuthFlowError {
  return new OAuthFlowError('The protected resource redirects the request to another place, which was not followed.', {
    code: 'OAUTH_REDIRECT_REFUSED',
    endpoint: href,
    hint: 'List the target in `origins` if it may receive the token, or request the final URL.',
  })
}

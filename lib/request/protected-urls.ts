import { Axios, type InternalAxiosRequestConfig } from 'axios'
import type { OAuthContext } from '../context'
import { contains } from '../protocol/resource'

/** Where a request goes, seen from the resource. */
export type Placement = 'inside' | 'outside' | 'userinfo'

type Addressed = Pick<InternalAxiosRequestConfig, 'url' | 'baseURL' | 'allowAbsoluteUrls'>

/** A relative path that no URL parser rewrites: it stays below its base. */
const plainPath = /^[\w\-./~]*$/

const addresser = new Axios({})

/**
 * Which requests may carry the token: those whose final URL lies at or below the resource, or below an entry of
 * `origins`. The final URL is what axios itself makes of base URL and path, after all interceptors.
 */
export class ProtectedUrls {
  readonly #context: OAuthContext
  #boundary = ''
  /** The last base URL found inside; plain paths below it need no second look. */
  #safeBase: string | undefined

  constructor(context: OAuthContext) {
    this.#context = context
    this.#boundary = this.#currentBoundary()
  }

  /** Where the request of this config goes. Costs a comparison of strings for a plain path below a known base. */
  place(config: Addressed): Placement {
    const boundary = this.#currentBoundary()
    if (boundary !== this.#boundary) {
      this.#boundary = boundary
      this.#safeBase = undefined
    }
    const { url = '', baseURL } = config
    if (baseURL !== undefined && baseURL === this.#safeBase && isPlain(url)) return 'inside'
    const placement = this.placeOf(finalUrl(config))
    if (placement === 'inside' && baseURL !== undefined && this.#isSafeBase(baseURL)) this.#safeBase = baseURL
    return placement
  }

  /** Where an absolute URL leads; text that is no URL is outside. */
  placeOf(url: string | undefined): Placement {
    if (url === undefined || !URL.canParse(url)) return 'outside'
    const parsed = new URL(url)
    const userinfo = parsed.username !== '' || parsed.password !== ''
    parsed.username = ''
    parsed.password = ''
    if (!this.#covers(parsed.href)) return 'outside'
    return userinfo ? 'userinfo' : 'inside'
  }

  #covers(href: string): boolean {
    return [this.#boundary, ...this.#context.settings.origins].some((area) => contains(new URL(area).href, href))
  }

  /** The resource in the server's spelling once it is known, until then the server URL. */
  #currentBoundary(): string {
    const { serverUrl } = this.#context.settings
    const resource = this.#context.protectedResourceMetadata?.resource
    if (resource === undefined || resource === this.#boundary) return resource ?? serverUrl
    // A configured `resource` may name another place: an audience, and none where the API is.
    return contains(resource, serverUrl) ? resource : serverUrl
  }

  #isSafeBase(baseURL: string): boolean {
    return !/[?#]/.test(baseURL) && this.placeOf(baseURL) === 'inside'
  }
}

function isPlain(url: string): boolean {
  return plainPath.test(url) && !url.includes('..') && !url.startsWith('//')
}

/** The URL that axios will send to, or undefined when axios itself refuses it. */
export function finalUrl({ url, baseURL, allowAbsoluteUrls }: Addressed): string | undefined {
  try {
    return addresser.getUri({
      url: url ?? '',
      baseURL: baseURL ?? '',
      ...(allowAbsoluteUrls === undefined ? {} : { allowAbsoluteUrls }),
    })
  } catch {
    return undefined
  }
}

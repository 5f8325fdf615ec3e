/**
 * The person with a browser, scripted: follows redirects with cookies, submits the forms it meets with their own
 * values, and stops where the authorization server hands back to the client.
 */
export class UserAgent {
  #cookies = [] // { origin, path, name, value }
  #hops = 0

  /** How many requests it has made so far. */
  get hops() {
    return this.#hops
  }

  /**
   * Opens an authorization URL and returns the callback URL that the authorization server redirects to, unvisited.
   * `redirectUri` is needed only where the URL does not carry it (pushed requests).
   */
  async authorize(authorizationUrl, { redirectUri } = {}) {
    const start = new URL(authorizationUrl)
    const target = redirectUri ?? start.searchParams.get('redirect_uri')
    const isCallback = (url) => (target === null ? url.origin !== start.origin : isSameEndpoint(url, new URL(target)))
    const end = await this.#browse(start, isCallback)
    if (end.callback === undefined)
      throw new Error(`no redirect to the client: ${end.status} ${end.text.slice(0, 300)}`)
    return end.callback.href
  }

  /** Opens an authorization URL and visits the callback as a browser would; returns what the page there says. */
  async signIn(authorizationUrl, options) {
    const callback = await this.authorize(authorizationUrl, options)
    const response = await fetch(callback)
    return { callback, status: response.status, text: await response.text() }
  }

  /** Opens the verification URL of a device and confirms; returns the last page. */
  async approveDevice(verificationUriComplete) {
    return this.#browse(new URL(verificationUriComplete), () => false)
  }

  async #browse(start, isCallback) {
    let request = { url: start, init: {} }
    for (let hop = 0; hop < 30; hop += 1) {
      this.#hops += 1
      const { url, init } = request
      const response = await fetch(url, {
        ...init,
        redirect: 'manual',
        headers: { ...init.headers, accept: 'text/html', cookie: this.#cookiesFor(url) },
      })
      this.#keepCookies(url, response.headers.getSetCookie())
      const text = await response.text()
      const location = response.headers.get('location')
      if (location !== null) {
        const next = new URL(location, url)
        if (isCallback(next)) return { callback: next, status: response.status, text }
        request = { url: next, init: {} }
        continue
      }
      const form = response.ok ? readForm(text, url) : undefined
      if (form === undefined) return { status: response.status, text }
      request = form
    }
    throw new Error('more than 30 redirects and forms')
  }

  #cookiesFor({ origin, pathname }) {
    return this.#cookies
      .filter((c) => c.origin === origin && (pathname === c.path || pathname.startsWith(c.path.replace(/\/?$/, '/'))))
      .map((c) => `${c.name}=${c.value}`)
      .join('; ')
  }

  #keepCookies({ origin }, headers) {
    for (const header of headers) {
      const [pair, ...attributes] = header.split(/; */)
      const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? []
      const attribute = (key) => attributes.find((a) => a.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1)
      const path = attribute('path') ?? '/'
      this.#cookies = this.#cookies.filter((c) => !(c.origin === origin && c.path === path && c.name === name))
      const isGone = value === '' || new Date(attribute('expires') ?? '9999-01-01') < new Date()
      if (name !== undefined && !isGone) this.#cookies.push({ origin, path, name, value })
    }
  }
}

/** A redirect to the client: the registered endpoint with parameters added. */
function isSameEndpoint(url, target) {
  return url.origin === target.origin && url.protocol === target.protocol && url.pathname === target.pathname
}

/** The first form of a page, filled in with the values it offers and a name where it asks for one. */
function readForm(html, base) {
  const [, attributes, content] = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(html) ?? []
  if (attributes === undefined) return undefined
  const read = (tag, name) => unescapeHtml(new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1])
  const body = new URLSearchParams()
  for (const [tag] of content.matchAll(/<input\b[^>]*>/gi)) {
    const name = read(tag, 'name')
    const typed = /type="(text|password|email)"/i.test(tag) ? 'alice' : ''
    if (name !== undefined) body.append(name, read(tag, 'value') ?? typed)
  }
  return { url: new URL(read(attributes, 'action') ?? '', base), init: { method: 'POST', body } }
}

function unescapeHtml(text) {
  return text
    ?.replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&')
}

/**
 * A receiver without a browser and without a port: the user agent goes through the pages and its callback is handed over.
 * For specs that are not about the loopback receiver.
 */
export function scriptedReceiver(person = new UserAgent()) {
  const fixed = 'http://127.0.0.1:49152/callback'
  return {
    redirectUris: [fixed],
    async open({ registered }) {
      const redirectUri = registered?.[0] ?? fixed
      const outcomes = new Map() // state → { resolve, reject, promise }
      const outcomeOf = (state) => {
        if (!outcomes.has(state)) outcomes.set(state, createDeferred())
        return outcomes.get(state)
      }
      return {
        redirectUri,
        redirectHandler(url) {
          person.authorize(url, { redirectUri }).then(
            (callback) => outcomeOf(new URL(callback).searchParams.get('state')).resolve(callback),
            // Pages that lead nowhere: a pushed request does not say whose state it was.
            (error) => outcomes.forEach(({ reject }) => reject(error)),
          )
        },
        callbackHandler({ state, signal }) {
          const { promise, reject } = outcomeOf(state)
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          return promise
        },
        async close() {},
      }
    },
  }
}

function createDeferred() {
  const deferred = {}
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  deferred.promise.catch(() => {})
  return deferred
}

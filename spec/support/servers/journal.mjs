import { createHash } from 'node:crypto'
import { send, sendJson } from './runtime.mjs'

/** Parameters whose values may be written down. Of all others only the name is. */
const publicParameters = [
  'grant_type',
  'response_type',
  'resource',
  'scope',
  'client_id',
  'redirect_uri',
  'code_challenge_method',
  'token_type_hint',
  'prompt',
  'application_type',
  'token_endpoint_auth_method',
]
const bodyLimit = 64 * 1024

/** The first characters of a token's hash: tells two tokens apart and gives neither away. */
export function fingerprint(token) {
  return createHash('sha256').update(token).digest('hex').slice(0, 12)
}

/**
 * What a server saw, in order, and faults to order from it. `observe(listener)` wraps the listener of the server;
 * `controls` are the routes of the control port; `annotate(entry, exchange)` adds to an entry before it is kept.
 */
export function createJournal({ annotate = () => {}, counters = () => ({}), onReset = () => {} } = {}) {
  let entries = []
  let sequence = 0
  const faults = createFaults()

  function observe(listener) {
    return (request, response) => {
      const began = performance.now()
      const url = new URL(request.url, 'http://server')
      const requestText = collectRequest(request)
      let responseText = () => ''
      // Written down on arrival, so that a stream that is still open is in the journal; completed when it is over.
      const entry = {
        n: ++sequence,
        at: round(performance.timeOrigin + began),
        ...describeRequest(request, url, ''),
        open: true,
      }
      entries.push(entry)
      response.once('close', () => {
        delete entry.open
        entry.duration = round(performance.now() - began)
        Object.assign(entry, describeRequest(request, url, requestText()))
        Object.assign(entry, describeResponse(response, responseText()))
        annotate(entry, { answer: parseObject(responseText()) })
      })
      faults.apply(request, response, (serve = listener) => {
        responseText = collectResponse(response)
        serve(request, response)
      })
    }
  }

  const controls = {
    'GET /journal': () => ({ entries, counters: counters() }),
    'POST /journal/reset': () => {
      entries = []
      onReset()
    },
    ...faults.controls,
  }
  return { observe, controls }
}

/** Milliseconds to a tenth. */
function round(time) {
  return Math.round(time * 10) / 10
}

/** Sees the body of a request as it arrives, whoever reads it and whenever. */
function collectRequest(request) {
  const chunks = []
  let size = 0
  // Node's parser hands every chunk to `push`; reading the stream here would take it from the server under observation.
  const push = request.push
  request.push = (chunk, encoding) => {
    if (chunk !== null && size < bodyLimit) {
      chunks.push(Buffer.from(chunk))
      size += chunk.length
    }
    return push.call(request, chunk, encoding)
  }
  return () => Buffer.concat(chunks).toString('utf8')
}

function collectResponse(response) {
  const chunks = []
  let size = 0
  const keep = (chunk) => {
    if (chunk === undefined || chunk === null || typeof chunk === 'function' || size >= bodyLimit) return
    chunks.push(Buffer.from(chunk))
    size += chunk.length
  }
  const { write, end } = response
  response.write = (chunk, ...rest) => (keep(chunk), write.call(response, chunk, ...rest))
  response.end = (chunk, ...rest) => (keep(chunk), end.call(response, chunk, ...rest))
  return () => Buffer.concat(chunks).toString('utf8')
}

function describeRequest(request, url, text) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  const contentType = request.headers['content-type']?.split(';')[0]
  const parameters = new URLSearchParams(url.search)
  const form = contentType === 'application/x-www-form-urlencoded' ? new URLSearchParams(text) : new URLSearchParams()
  const json = contentType === 'application/json' ? parseObject(text) : {}
  return omitEmpty({
    method: request.method,
    path: url.pathname,
    query: [...new Set(parameters.keys())],
    form: [...new Set(form.keys())],
    json: Object.keys(json),
    values: pickValues([...parameters, ...form, ...Object.entries(json)]),
    contentType,
    authorization: scheme,
    token: token && /^(bearer|dpop)$/i.test(scheme) ? fingerprint(token) : undefined,
    dpop: request.headers.dpop !== undefined,
    rpc: typeof json.method === 'string' ? json.method : undefined,
    tool: json.method === 'tools/call' ? json.params?.name : undefined,
  })
}

function describeResponse(response, text) {
  const json = String(response.getHeader('content-type') ?? '').startsWith('application/json') ? parseObject(text) : {}
  return omitEmpty({
    // What the server meant to say, also when the answer was lost on purpose; 0 where it said nothing.
    status: response.headersSent || response.lost === 'answer' ? response.statusCode : 0,
    lost: response.lost,
    error: typeof json.error === 'string' ? json.error : undefined,
    challenge: response.getHeader('www-authenticate'),
  })
}

function pickValues(pairs) {
  const values = {}
  for (const [name, value] of pairs) if (publicParameters.includes(name)) values[name] = value
  return values
}

function parseObject(text) {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    return {}
  }
}

function omitEmpty(entry) {
  return Object.fromEntries(
    Object.entries(entry).filter(
      ([, value]) =>
        value !== undefined &&
        value !== '' &&
        value !== false &&
        !(typeof value === 'object' && Object.keys(value).length === 0),
    ),
  )
}

/**
 * Faults a spec may order for a path, each for a number of requests:
 * `respond` (status, headers, body instead of the server's own answer), `drop` (cut before the server acts),
 * `drop-response` (the server acts, its answer is lost), `hold` (wait before acting until released),
 * `hold-response` (act, and hold the answer back until released).
 */
function createFaults() {
  const kinds = ['respond', 'drop', 'drop-response', 'hold', 'hold-response']
  let orders = []
  let held = []
  const watchers = new Set()

  function hold(path, resume) {
    held.push({ path, resume })
    for (const check of [...watchers]) check()
  }

  function apply(request, response, proceed) {
    const { pathname } = new URL(request.url, 'http://server')
    const order = orders.find(
      (o) => o.times > 0 && pathname === o.path && (o.method ?? request.method) === request.method,
    )
    if (!order) return proceed()
    order.times -= 1
    if (order.kind === 'respond') return proceed(() => respond(request, response, order))
    if (order.kind === 'drop') return lose(request, response, 'request')
    if (order.kind === 'hold') return hold(order.path, () => proceed())
    const { end } = response
    response.end = (...rest) => {
      if (order.kind === 'drop-response') lose(request, response, 'answer')
      else hold(order.path, () => end.apply(response, rest))
      return response
    }
    return proceed()
  }

  const controls = {
    'POST /faults': ({ path, method, kind, times = 1, status, headers, body }) => {
      if (!kinds.includes(kind)) throw new TypeError(`kind is one of ${kinds.join(', ')}`)
      orders.push({ path, method, kind, times, status, headers, body })
    },
    'POST /faults/clear': () => {
      orders = []
    },
    'POST /held': ({ path, count = 1 }) =>
      new Promise((resolve) => {
        const check = () => {
          if (held.filter((h) => h.path === path).length < count) return
          watchers.delete(check)
          resolve({ held: held.filter((h) => h.path === path).length })
        }
        watchers.add(check)
        check()
      }),
    'POST /release': ({ path }) => {
      const released = held.filter((h) => path === undefined || h.path === path)
      held = held.filter((h) => !released.includes(h))
      orders = orders.filter((o) => !(o.kind.startsWith('hold') && (path === undefined || o.path === path)))
      for (const { resume } of released) resume()
      return { released: released.length }
    },
  }
  return { apply, controls }
}

function respond(request, response, { status = 500, headers = {}, body = '' }) {
  request.resume()
  if (typeof body === 'object') sendJson(response, status, body, headers)
  else send(response, status, body, headers)
}

function lose(request, response, what) {
  response.lost = what
  request.socket.destroy()
}

/** Counts one request to a token endpoint by its grant type, and notes in the entry what was issued. */
export function countTokenRequest(counts, entry, answer) {
  const grantType = entry.values?.grant_type ?? 'unknown'
  counts.tokenRequests[grantType] = (counts.tokenRequests[grantType] ?? 0) + 1
  if (entry.status !== 200) return
  counts.tokensIssued[grantType] = (counts.tokensIssued[grantType] ?? 0) + 1
  const { scope, expires_in, token_type, refresh_token } = answer
  entry.issued = { scope, expires_in, token_type, refresh: refresh_token !== undefined }
}

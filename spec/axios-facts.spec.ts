import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import axios, { Axios, isAxiosError, type AxiosError, type AxiosHeaders } from 'axios'

// How axios behaves where the library relies on it or defends against it (THREATS §4). When one of these fails with a new
// axios, the place that relies on it needs a look; the library itself takes no part here.

type Answer = (request: IncomingMessage, response: ServerResponse) => void

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface RunningServer {
  readonly origin: string
  readonly seen: Seen[]
  answer: Answer
  readonly server: Server
}

async function serve(host: string): Promise<RunningServer> {
  const seen: Seen[] = []
  const running: { answer: Answer } = { answer: (_request, response) => response.end('{}') }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body })
      running.answer(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`
  return Object.assign(running, { origin, seen, server })
}

let ours: RunningServer
let other: RunningServer

beforeEach(async () => {
  ours = await serve('127.0.0.1')
  other = await serve('localhost')
})
afterEach(() => {
  for (const { server } of [ours, other]) {
    server.closeAllConnections()
    server.close()
  }
})

const plain = axios.create({ proxy: false })
const caught = (promise: Promise<unknown>): Promise<AxiosError> =>
  promise.then(
    () => Promise.reject(new Error('no error')),
    (error: unknown) => error as AxiosError,
  )

describe.each(['http', 'fetch'] as const)('the %s adapter', (adapter) => {
  it('drops Authorization across origins, and sends everything else with a 307’s body', async () => {
    ours.answer = (_request, response) => response.writeHead(307, { Location: `${other.origin}/x` }).end()
    const headers = { Authorization: 'Bearer t', DPoP: 'proof', 'Mcp-Session-Id': 's', 'X-API-Key': 'k' }
    await plain.post(ours.origin, 'body', { headers, adapter })
    expect(other.seen[0]?.headers).not.toHaveProperty('authorization')
    expect(other.seen[0]).toMatchObject({
      body: 'body',
      headers: { dpop: 'proof', 'mcp-session-id': 's', 'x-api-key': 'k' },
    })
  })

  // axios 1.18 knows the first for the http adapter only, so the library sets both.
  it('hands a 3xx over under maxRedirects: 0 with a manual fetch', async () => {
    ours.answer = (_request, response) => response.writeHead(302, { Location: other.origin }).end()
    const never = { maxRedirects: 0, fetchOptions: { redirect: 'manual' as const } }
    const response = await plain.get(ours.origin, { ...never, validateStatus: () => true, adapter })
    expect([response.status, response.headers.location]).toEqual([302, other.origin])
    expect(other.seen).toEqual([])
  })

  it('replaces the Authorization header by Basic for `auth: {}` and for userinfo in the URL', async () => {
    const headers = { Authorization: 'Bearer t' }
    await plain.get(ours.origin, { headers, auth: {} as never, adapter })
    await plain.get(ours.origin.replace('//', '//u:p@'), { headers, adapter })
    expect(ours.seen.map((one) => one.headers.authorization?.slice(0, 6))).toEqual(['Basic ', 'Basic '])
  })

  it('joins repeated WWW-Authenticate lines with a comma', async () => {
    ours.answer = (_request, response) =>
      response.writeHead(401, { 'WWW-Authenticate': ['Negotiate', 'Bearer a="b"'] }).end()
    const { headers } = await plain.get(ours.origin, { validateStatus: null, adapter })
    expect((headers as AxiosHeaders).get('www-authenticate')).toBe('Negotiate, Bearer a="b"')
  })

  it('puts the bearer on the error, where it is rendered', async () => {
    ours.answer = (_request, response) => response.writeHead(500).end()
    const error = await caught(plain.get(ours.origin, { headers: { Authorization: 'Bearer confidential' }, adapter }))
    expect(inspect(error, { depth: Infinity })).toContain('confidential')
    expect(JSON.stringify(error)).toContain('confidential')
  })

  it('sends to the URL that getUri() gives, resolved', async () => {
    for (const url of ['a/../b', '/%2e%2e/c', '\\d', '/e?f#g', '', '/ü x', '//'.concat('h')]) {
      const config = { url, baseURL: `${ours.origin}/v1/`, params: { p: '1' }, adapter }
      const uri = new Axios({}).getUri(config)
      if (!URL.canParse(uri)) {
        await caught(plain.request(config))
        continue
      }
      await plain.request(config)
      const { pathname, search } = new URL(uri)
      expect(ours.seen.at(-1)?.url).toBe(pathname + search)
    }
  })
})

describe('axios', () => {
  it('does not stop a dripping body by `timeout` under maxRedirects: 0, as long as bytes come', async () => {
    ours.answer = (_request, response) => {
      const timer = setInterval(() => response.write(' '), 5)
      response.on('close', () => clearInterval(timer))
      setTimeout(() => response.end(), 150)
    }
    await expect(plain.get(ours.origin, { timeout: 60, maxRedirects: 0 })).resolves.toMatchObject({ status: 200 })
  })

  it('sets no limit to a response by itself', () => {
    expect(axios.defaults.maxContentLength).toBe(-1)
  })

  it('resolves data: URLs on Node', async () => {
    await expect(axios.get('data:application/json,{"a":1}')).resolves.toMatchObject({ status: 200 })
  })

  it('gives unparsable JSON back as text with status 200', async () => {
    ours.answer = (_request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"a":')
    await expect(plain.get(ours.origin)).resolves.toMatchObject({ status: 200, data: '{"a":' })
  })

  it('inherits global headers and params into an instance, and not into a bare Axios', async () => {
    axios.defaults.headers.common['X-Global'] = 'g'
    axios.defaults.params = { api_key: 'k' }
    try {
      await axios.create({ proxy: false }).get(ours.origin)
      await new Axios({ proxy: false, adapter: 'http', headers: {} as never }).request({ url: ours.origin })
    } finally {
      delete axios.defaults.headers.common['X-Global']
      delete axios.defaults.params
    }
    expect(ours.seen.map(({ url, headers }) => [url, headers['x-global']])).toEqual([
      ['/?api_key=k', 'g'],
      ['/', undefined],
    ])
  })

  it('runs request interceptors in reverse order of registration, and response interceptors in order', async () => {
    const api = axios.create({ proxy: false })
    const ran: string[] = []
    for (const name of ['first', 'second']) {
      api.interceptors.request.use((config) => {
        ran.push(`${name} request`)
        return config
      })
      api.interceptors.response.use((response) => {
        ran.push(`${name} response`)
        return response
      })
    }
    await api.get(ours.origin)
    expect(ran).toEqual(['second request', 'first request', 'first response', 'second response'])
  })

  it('calls the adapter that the config has after all interceptors, with transformed data, and transforms its answer', async () => {
    const api = axios.create()
    api.interceptors.request.use((config) => {
      config.adapter = (final) =>
        Promise.resolve({
          data: `{"sent":${String(final.data)}}`,
          status: 200,
          statusText: '',
          headers: {},
          config: final,
        })
      return config
    })
    await expect(api.post('/x', { a: 1 })).resolves.toMatchObject({ data: { sent: { a: 1 } } })
  })

  it('does not modify the caller’s config, and merges headers of any spelling into one', async () => {
    const config = Object.freeze({ headers: Object.freeze({ AUTHORIZATION: 'mine' }) })
    await axios.create({ proxy: false, headers: { authorization: 'default' } }).get(ours.origin, config)
    expect(ours.seen[0]?.headers.authorization).toBe('mine')
  })

  it('rejects with a refusal thrown in beforeRedirect somewhere in the chain of causes', async () => {
    ours.answer = (_request, response) => response.writeHead(302, { Location: other.origin }).end()
    const refusal = new Error('refusal')
    const beforeRedirect = (): never => {
      throw refusal
    }
    const error = await caught(plain.get(ours.origin, { beforeRedirect }))
    expect(isAxiosError(error)).toBe(true)
    expect([error.cause, (error.cause as { cause?: unknown }).cause]).toContain(refusal)
    expect(other.seen).toEqual([])
  })

  it('keeps a socket for a streamed answer that nobody reads, until it is destroyed', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    ours.answer = (_request, response) => response.end('text')
    const { data } = await plain.get<{ destroy(): void }>(ours.origin, { responseType: 'stream', httpAgent })
    let second = false
    const waiting = plain.get(ours.origin, { httpAgent }).then(() => (second = true))
    await plain.get(ours.origin)
    expect(second).toBe(false)
    data.destroy()
    await waiting
    expect(second).toBe(true)
    httpAgent.destroy()
  })

  it('cancels with CanceledError of its own, whatever the signal’s reason', async () => {
    const error = await caught(plain.get(ours.origin, { signal: AbortSignal.abort(new Error('reason')) }))
    expect([error.code, error.name]).toEqual(['ERR_CANCELED', 'CanceledError'])
  })
})

describe('the platform', () => {
  it('quotes its input in the message of JSON.parse', () => {
    expect(() => JSON.parse('confidential')).toThrow(/confidential/)
  })
})

import { Agent } from 'node:http'
import axios, { type AxiosRequestConfig } from 'axios'
import MockAdapter from 'axios-mock-adapter'
import { isOAuthFlowError, toFetch } from 'axios-oauth2'
import { startWorld, type ConnectOptions, type Echo, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

function connect(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): typeof fetch {
  return toFetch(world.connect(o, config).api)
}

async function echoOf(response: Response): Promise<Echo> {
  return (await response.json()) as Echo
}

describe('toFetch(api)', () => {
  it('signs in, renews and replays behind a standard fetch [attach.every-request]', async () => {
    const send = connect()
    const response = await send(`${world.serverUrl}/x?a=1`, {
      method: 'POST',
      body: JSON.stringify({ a: 'ü' }),
      headers: { 'Content-Type': 'application/json', 'Mcp-Session-Id': 's' },
    })
    expect(response).toBeInstanceOf(Response)
    expect([response.status, response.ok, response.headers.get('content-type')]).toEqual([
      200,
      true,
      'application/json',
    ])
    const echo = await echoOf(response)
    expect(echo).toMatchObject({
      method: 'POST',
      url: '/mcp/x?a=1',
      headers: { 'mcp-session-id': 's', 'content-type': 'application/json' },
    })
    expect(Buffer.from(echo.body, 'base64').toString()).toBe('{"a":"ü"}')
    world.forget()
    world.revokeAccessTokens()
    await echoOf(await send(world.serverUrl))
    expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
  })

  it('takes URL, URL object and Request, and every kind of body [replay.bodies]', async () => {
    const send = connect()
    const form = new FormData()
    form.append('a', 'b')
    const cases: readonly (readonly [Promise<Response>, string])[] = [
      [send(new URL(world.serverUrl)), ''],
      [send(new Request(world.serverUrl, { method: 'PUT', body: 'request' })), 'request'],
      [
        send(new Request(world.serverUrl, { method: 'PUT', body: 'first' }), { method: 'POST', body: 'second' }),
        'second',
      ],
      [send(world.serverUrl, { method: 'POST', body: new URLSearchParams({ a: '1' }) }), 'a=1'],
      [send(world.serverUrl, { method: 'POST', body: new Blob(['blob']) }), 'blob'],
      [send(world.serverUrl, { method: 'POST', body: new TextEncoder().encode('bytes') }), 'bytes'],
      [send(world.serverUrl, { method: 'POST', body: form }), 'form-data'],
    ]
    for (const [sending, body] of cases) {
      const echo = await echoOf(await sending)
      expect(Buffer.from(echo.body, 'base64').toString()).toContain(body)
    }
    expect(world.user.visits).toHaveLength(1)
  })

  it('sends a stream with the token obtained before [replay.not-replayable]', async () => {
    const send = connect({}, { adapter: 'fetch' })
    const body = new Blob(['stream']).stream()
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit
    const echo = await echoOf(await send(world.serverUrl, init))
    expect(Buffer.from(echo.body, 'base64').toString()).toBe('stream')
    expect(world.count('api')).toBe(1)
  })

  it.each([200, 400, 403, 404, 418, 500, 503])('resolves with status %i as it came', async (status) => {
    const send = connect()
    await send(world.serverUrl)
    const headers = { 'Set-Cookie': ['a=1', 'b=2'], 'X-Y': 'z' }
    world.answer('api', { status, body: 'text', headers })
    const response = await send(world.serverUrl)
    expect([response.status, await response.text(), response.headers.get('x-y')]).toEqual([status, 'text', 'z'])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  })

  it('is untouched by the instance’s own transforms, response type, params and base URL', async () => {
    const api = axios.create({
      proxy: false,
      baseURL: 'https://elsewhere.example/',
      responseType: 'arraybuffer',
      transformRequest: [() => 'mine'],
      transformResponse: [() => 'mine'],
      validateStatus: () => false,
    })
    world.connect().provider.attach(api)
    const echo = await echoOf(await toFetch(api)(world.serverUrl, { method: 'POST', body: 'text' }))
    expect(Buffer.from(echo.body, 'base64').toString()).toBe('text')
  })

  it('rejects with the error of the flow when nobody signs in [errors.request-rejects]', async () => {
    const error: unknown = await connect({ interactive: false })(world.serverUrl).catch((caught: unknown) => caught)
    expect(isOAuthFlowError(error)).toBe(true)
    expect(error).toMatchObject({ code: 'OAUTH_AUTHORIZATION_REQUIRED', response: { status: 401 } })
  })

  it('aborts with the signal’s reason, before, while waiting, and while reading [concurrency.waiter-aborts]', async () => {
    const send = connect()
    const reason = new Error('enough')
    await expect(send(world.serverUrl, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const gate = world.user.hold()
    const waiting = new AbortController()
    const sending = send(world.serverUrl, { signal: waiting.signal })
    await gate.arrived
    waiting.abort()
    await expect(sending).rejects.toMatchObject({ name: 'AbortError' })
    gate.release()
    const reading = new AbortController()
    const response = await send(`${world.serverUrl}/stream`, { signal: reading.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('data: 1\n\n')
    reading.abort(reason)
    await expect(reader.read()).rejects.toBeDefined()
  })

  it('streams: what has arrived can be read while the answer has not ended [concurrency.lock-scope]', async () => {
    const send = connect()
    const response = await send(`${world.serverUrl}/stream`, { headers: { Accept: 'text/event-stream' } })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('data: 1\n\n')
    expect((await send(world.serverUrl)).status).toBe(200)
    await reader.cancel()
  })

  it('frees the socket of a stream that is cancelled while nothing comes [replay.discards-first]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = connect({}, { httpAgent })
    const response = await send(`${world.serverUrl}/stream`)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    const pending = reader.read()
    await reader.cancel()
    await expect(pending).resolves.toMatchObject({ done: true })
    await expect(send(world.serverUrl)).resolves.toMatchObject({ status: 200 })
    const unread = await send(`${world.serverUrl}/stream`)
    await unread.body?.cancel()
    await expect(send(world.serverUrl)).resolves.toMatchObject({ status: 200 })
    httpAgent.destroy()
  })

  it('frees the socket of an answer that has no body [replay.discards-first]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = connect({}, { httpAgent })
    world.answer('api', { status: 204 }, { when: ({ headers }) => headers.authorization !== undefined })
    for (let request = 0; request < 3; request += 1) {
      const response = await send(world.serverUrl, { method: 'DELETE' })
      expect([response.status, response.body]).toEqual([204, null])
    }
    httpAgent.destroy()
  })

  it.each<readonly [RequestRedirect, object]>([
    ['follow', { status: 200 }],
    ['manual', { status: 302 }],
  ])('treats a redirect as `redirect: %s` says [attach.redirects]', async (mode, expected) => {
    const send = connect()
    await expect(send(`${world.serverUrl}/redirect?to=/mcp/x`, { redirect: mode })).resolves.toMatchObject(expected)
  })

  it('rejects a redirect under `redirect: error` [attach.redirects]', async () => {
    const send = connect()
    await expect(send(`${world.serverUrl}/redirect?to=/mcp/x`, { redirect: 'error' })).rejects.toThrow(TypeError)
    expect(world.order().at(-1)).toBe('rs GET /mcp/redirect')
  })

  it('hands on what a mock adapter answers, of whatever shape [axios.adapters]', async () => {
    const api = axios.create()
    const mock = new MockAdapter(api)
    mock.onGet('https://api.example.com/object').reply(200, { a: 1 })
    mock.onGet('https://api.example.com/text').reply(200, 'text')
    mock.onGet('https://api.example.com/bytes').reply(200, new TextEncoder().encode('bytes').buffer)
    mock.onGet('https://api.example.com/nothing').reply(204)
    const texts = ['object', 'text', 'bytes', 'nothing'].map(async (path) =>
      (await toFetch(api)(`https://api.example.com/${path}`)).text(),
    )
    expect(await Promise.all(texts)).toEqual(['{"a":1}', 'text', 'bytes', ''])
  })
})

import { createHash } from 'node:crypto'
import { Agent } from 'node:http'
import { Readable } from 'node:stream'
import type { AxiosRequestConfig, AxiosResponse } from 'axios'
import FormDataPackage from 'form-data'
import { startWorld, type Connection, type ConnectOptions, type Echo, type Entry, type World } from './support/world'

let world: World

beforeEach(async () => {
  world = await startWorld()
})
afterEach(() => world.stop())

const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256))
const sha256 = (body: Buffer): string => createHash('sha256').update(body).digest('hex')

async function signedIn(o: ConnectOptions = {}, config: AxiosRequestConfig = {}): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.api.get('')
  world.forget()
  return connection
}

function nativeForm(): FormData {
  const form = new FormData()
  form.append('text', 'ü€')
  form.append('file', new Blob([bytes], { type: 'image/png' }), 'a "b".png')
  return form
}

function packageForm(): FormDataPackage {
  const form = new FormDataPackage()
  form.append('text', 'ü€')
  form.append('file', bytes, { filename: 'a.bin', contentType: 'application/x-thing' })
  return form
}

interface Body {
  readonly name: string
  readonly data: () => unknown
  /** What must arrive, where that is known beforehand. */
  readonly expected?: Buffer
  readonly contentType?: RegExp
}

const replayable: readonly Body[] = [
  { name: 'no body', data: () => undefined, expected: Buffer.alloc(0) },
  { name: 'an empty text', data: () => '', expected: Buffer.alloc(0) },
  { name: 'JSON', data: () => ({ a: ['ü'] }), expected: Buffer.from('{"a":["ü"]}'), contentType: /^application\/json/ },
  { name: 'a text', data: () => 'ü€😀', expected: Buffer.from('ü€😀') },
  {
    name: 'URLSearchParams',
    data: () => new URLSearchParams({ a: '1 &' }),
    expected: Buffer.from('a=1+%26'),
    contentType: /^application\/x-www-form-urlencoded/,
  },
  { name: 'a Buffer', data: () => bytes, expected: bytes },
  { name: 'a typed array', data: () => new Uint8Array(bytes), expected: bytes },
  { name: 'an ArrayBuffer', data: () => new Uint8Array(bytes).buffer, expected: bytes },
  { name: 'a Blob', data: () => new Blob([bytes], { type: 'image/png' }), expected: bytes },
  { name: 'native FormData', data: nativeForm, contentType: /^multipart\/form-data; ?boundary=\S+/ },
]

const adapters = ['http', 'fetch'] as const

describe.each(adapters)('over the %s adapter', (adapter) => {
  describe.each(replayable)('$name', ({ data, expected, contentType }) => {
    it('is sent again with equal bytes and one type [replay.bodies] [replay.same-request] [LP-16]', async () => {
      const { api } = await signedIn({}, { adapter })
      world.revokeAccessTokens()
      await api.post('/upload', data())
      check(expected, contentType)
      expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
    })

    it('is sent again after a sign-in, with the first request as it was [replay.bodies] [attach.no-token-yet]', async () => {
      const { api } = world.connect({}, { adapter })
      await api.post('/upload', data())
      check(expected, contentType)
    })
  })

  function check(expected: Buffer | undefined, contentType = /^/): void {
    const [first, second, ...more] = world.requests('api') as [Entry, Entry]
    expect(more).toEqual([])
    expect(sha256(second.body)).toBe(sha256(first.body))
    expect(second.headers['content-type']).toBe(first.headers['content-type'])
    expect(second.headers['content-length']).toBe(first.headers['content-length'])
    if (expected !== undefined) expect(sha256(first.body)).toBe(sha256(expected))
    if (contentType.source !== '^') expect(first.headers['content-type']).toMatch(contentType)
    const [, boundary] = /boundary=(\S+)/.exec(first.headers['content-type'] ?? '') ?? []
    if (boundary !== undefined) expect(first.body.toString('latin1')).toContain(`--${boundary}--`)
  }
})

describe('the form-data package', () => {
  it.each<readonly [string, (api: Connection['api']) => Promise<unknown>]>([
    ['post', (api) => api.post('/upload', packageForm())],
    ['postForm', (api) => api.postForm('/upload', packageForm())],
    ['postForm of an object', (api) => api.postForm('/upload', { text: 'ü€', 'list[]': [1, 2], file: bytes })],
    [
      'put with its own headers',
      (api) => {
        const form = packageForm()
        return api.put('/upload', form, { headers: form.getHeaders() })
      },
    ],
  ])('is sent again with equal bytes by %s [replay.bodies] [LP-16]', async (_name, send) => {
    const { api } = await signedIn()
    world.revokeAccessTokens()
    await send(api)
    const [first, second] = world.requests('api') as [Entry, Entry]
    expect(second.body.equals(first.body)).toBe(true)
    expect(second.headers['content-type']).toBe(first.headers['content-type'])
    const [, boundary] = /boundary=(\S+)/.exec(first.headers['content-type'] ?? '') ?? []
    expect(first.body.toString('latin1').endsWith(`--${boundary}--\r\n`)).toBe(true)
    expect(first.body.includes(bytes)).toBe(true)
  })

  it('with a stream inside is sent once, whole, and a refusal is not replayable [replay.not-replayable] [LP-15]', async () => {
    const { api } = await signedIn()
    const form = new FormDataPackage()
    form.append('file', Readable.from([bytes]), { filename: 'a.bin', knownLength: bytes.length })
    world.revokeAccessTokens()
    await expect(api.post('/upload', form)).rejects.toMatchObject({ code: 'OAUTH_NOT_REPLAYABLE' })
    expect(world.steps()).toEqual(['api 401', 'token 200'])
    expect(world.requests('api')[0]?.body.includes(bytes)).toBe(true)
  })
})

describe('a body that can be read once', () => {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, 100)
    await Promise.resolve()
    yield bytes.subarray(100)
  }
  const oneShot: readonly (readonly [string, 'http' | 'fetch', () => unknown])[] = [
    ['a Node stream', 'http', () => Readable.from(pieces())],
    ['a web stream', 'fetch', () => new Blob([bytes]).stream()],
    ['a Node stream', 'fetch', () => Readable.from(pieces())],
    // axios's own transform would make JSON of it, and its http adapter takes none.
    ['an async iterable', 'fetch', () => pieces()],
  ]

  describe.each(oneShot)('%s over %s', (name, adapter, data) => {
    const asItIs = name === 'an async iterable' ? { transformRequest: [(body: unknown) => body] } : {}

    it('is sent with the token obtained before, signing in where need be [replay.not-replayable]', async () => {
      const { api } = world.connect({}, { adapter, ...asItIs })
      const { data: echo } = await api.post<Echo>('/upload', data(), {
        headers: { 'Content-Type': 'application/x-thing' },
      })
      expect(echo.sha256).toBe(sha256(bytes))
      expect(world.steps()).toEqual([
        'prm 200',
        'as-metadata 200',
        'register 201',
        'authorize 302',
        'token 200',
        'api 200',
      ])
    })

    it('is not sent again: the refusal surfaces, and the next request has a good token [replay.not-replayable] [LP-15]', async () => {
      const { api } = await signedIn({}, { adapter, ...asItIs })
      world.revokeAccessTokens()
      const error: unknown = await api.post('/upload', data()).catch((caught: unknown) => caught)
      expect(error).toMatchObject({
        code: 'OAUTH_NOT_REPLAYABLE',
        phase: 'request',
        retryable: false,
        endpoint: `${world.serverUrl}/upload`,
        response: { status: 401 },
      })
      expect(world.leaksIn(error)).toEqual([])
      expect(world.leaksIn((error as { response: unknown }).response)).toEqual([])
      expect(world.steps()).toEqual(['api 401', 'token 200'])
      const { data: echo } = await api.post<Echo>('/upload', data())
      expect(echo.sha256).toBe(sha256(bytes))
      expect(world.steps()).toEqual(['api 401', 'token 200', 'api 200'])
    })
  })

  it('gets the token renewed first when that has expired [replay.not-replayable] [refresh.before-send]', async () => {
    const { api } = await signedIn()
    world.expireTokens()
    const { data } = await api.post<Echo>('/upload', Readable.from(pieces()))
    expect(data.sha256).toBe(sha256(bytes))
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('waits with the first byte until the token is there [replay.not-replayable]', async () => {
    const { api } = world.connect()
    const gate = world.user.hold()
    let read = false
    const source = Readable.from(
      (async function* () {
        read = true
        yield bytes
        await Promise.resolve()
      })(),
    )
    const sending = api.post<Echo>('/upload', source)
    await gate.arrived
    expect(read).toBe(false)
    gate.release()
    expect((await sending).data.sha256).toBe(sha256(bytes))
  })

  it('is not sent again after insufficient_scope either, and the next one has the scope [replay.not-replayable]', async () => {
    const { api } = await signedIn()
    const send = (): Promise<AxiosResponse<Echo>> => api.post<Echo>('/needs?scope=more', Readable.from(pieces()))
    await expect(send()).rejects.toMatchObject({ code: 'OAUTH_NOT_REPLAYABLE', response: { status: 403 } })
    expect(world.count('api')).toBe(1)
    expect((await send()).data.sha256).toBe(sha256(bytes))
    expect(world.user.visits).toHaveLength(2)
  })

  it('is not sent when the sign-in fails, and the reason is the flow’s [replay.not-replayable]', async () => {
    const { api } = world.connect()
    world.user.deny()
    const source = Readable.from(pieces())
    await expect(api.post('/upload', source)).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    expect(world.count('api')).toBe(0)
  })
})

describe('a pool of one socket', () => {
  it('does not deadlock over a refused stream upload with a streamed answer [replay.discards-first] [replay.not-replayable]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { api } = await signedIn({}, { httpAgent })
    world.revokeAccessTokens()
    const config: AxiosRequestConfig = { responseType: 'stream' }
    await expect(api.post('/upload', Readable.from([bytes]), config)).rejects.toMatchObject({
      code: 'OAUTH_NOT_REPLAYABLE',
    })
    const { data } = await api.post<AsyncIterable<Buffer>>('/upload', Readable.from([bytes]), config)
    const chunks: Buffer[] = []
    for await (const chunk of data) chunks.push(chunk)
    expect((JSON.parse(Buffer.concat(chunks).toString()) as Echo).sha256).toBe(sha256(bytes))
    httpAgent.destroy()
  })

  it('does not deadlock over a cold start with discovery on the same host [replay.discards-first]', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { api } = world.connect({}, { httpAgent })
    const { data } = await api.get<Readable>('', { responseType: 'stream' })
    data.destroy()
    expect(world.count('api')).toBe(2)
    httpAgent.destroy()
  })
})

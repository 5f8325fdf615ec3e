import axios, { getAdapter, type AxiosAdapter, type AxiosResponse, type RawAxiosResponseHeaders } from 'axios'
import { queryOf, startWorld, type Answer, type World } from './support/world'

let world: World
let rm: string

beforeEach(async () => {
  world = await startWorld()
  rm = `${world.origin.rs}/.well-known/oauth-protected-resource/mcp`
})
afterEach(() => world.stop())

/** The next request to the API is refused with these lines of `WWW-Authenticate`. */
function challenge(...lines: readonly string[]): void {
  challengeWith(lines.length === 0 ? {} : { 'WWW-Authenticate': lines })
}

function challengeWith(headers: NonNullable<Answer['headers']>): void {
  world.answer('api', { status: 401, headers, body: 'refused' }, { times: 1 })
}

const flow = ['api 401', 'prm 200', 'as-metadata 200', 'register 201', 'authorize 302', 'token 200', 'api 200']

/** The scope that the person was asked for. */
function scopeAsked(): string | null | undefined {
  return world.user.visits[0]?.searchParams.get('scope')
}

/** An axios adapter that hands over the response's headers in another shape than the Node adapter does. */
function shaping(shape: (value: string) => Readonly<Record<string, unknown>>): AxiosAdapter {
  const reshape = (response: AxiosResponse): AxiosResponse => {
    const value = (response.headers as RawAxiosResponseHeaders)['www-authenticate']
    return typeof value === 'string' ? { ...response, headers: shape(value) as RawAxiosResponseHeaders } : response
  }
  return async (config) => {
    const send = getAdapter('http', config)
    try {
      return reshape(await send(config))
    } catch (error) {
      if (axios.isAxiosError(error) && error.response !== undefined) error.response = reshape(error.response)
      throw error
    }
  }
}

describe('a 401', () => {
  it.each<[string, readonly string[]]>([
    ['without WWW-Authenticate', []],
    ['with a bare Bearer', ['Bearer']],
    ['with a realm only', ['Bearer realm="x"']],
    ['with Basic only', ['Basic realm="x"']],
    ['that is no challenge at all', ['what? "']],
    ['with an unterminated quote', [`Bearer scope="read, resource_metadata="`]],
    ['with a byte outside ASCII', ['Bearer realm="caf\xe9"']],
    ['with a token68 Bearer', ['Bearer abc==']],
  ])(
    '%s starts discovery at the well-known locations [challenge.missing-ok WA-13 WA-14 WA-36]',
    async (_name, lines) => {
      challenge(...lines)
      await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
      expect(world.steps()).toEqual(flow)
      expect(world.requests('prm')[0]?.url).toBe('/.well-known/oauth-protected-resource/mcp')
    },
  )

  it('with a header line that no client reads fails with the error of the transport, after one request [WA-16]', async () => {
    challenge(`Bearer realm="${'x'.repeat(65_536)}"`)
    await expect(world.connect().api.get('')).rejects.toMatchObject({ code: 'HPE_HEADER_OVERFLOW' })
    expect(world.journal).toHaveLength(1)
  })
})

describe('the challenge that counts', () => {
  const ours = 'Bearer scope="read"'

  it.each<[string, string]>([
    ['first', `${ours}, Basic realm="x"`],
    ['behind Basic', `Basic realm="x", ${ours}`],
    ['behind Negotiate', `Negotiate, ${ours}`],
    ['behind Negotiate with data', `Negotiate oRQ==, ${ours}`],
    ['between two others', `Basic realm="a, b", ${ours}, Digest realm="x", nonce="y"`],
    ['DPoP, behind another', 'Negotiate abc==, DPoP algs="ES256", scope="read"'],
    ['between empty elements', `, , ${ours}, ,`],
  ])('is found: %s [challenge.scheme-order challenge.token68 WA-01 WA-32 WA-33]', async (_where, header) => {
    challenge(header)
    await world.connect().api.get('')
    expect(scopeAsked()).toBe('read')
  })

  it.each<[string, (world: World) => AxiosAdapter | 'http' | 'fetch']>([
    ['the Node adapter', () => 'http'],
    ['the fetch adapter', () => 'fetch'],
    [
      'an adapter with an AxiosHeaders of lines',
      () => shaping((value) => new axios.AxiosHeaders({ 'WWW-Authenticate': lines(value) })),
    ],
    ['an adapter with an array', () => shaping((value) => ({ 'www-authenticate': lines(value) }))],
    ['an adapter with names as they were sent', () => shaping((value) => ({ 'WWW-Authenticate': value }))],
  ])('is the same in two lines through %s [challenge.several-headers WA-02]', async (_name, adapter) => {
    challenge('Basic realm="x"', `Bearer resource_metadata="${rm}", scope="read"`)
    await world.connect({}, { adapter: adapter(world) }).api.get('')
    expect(scopeAsked()).toBe('read')
    expect(world.count('prm')).toBe(1)
  })

  it('gives what the scheme of the request lacks from the other scheme [challenge.own-scheme-first WA-03]', async () => {
    world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
    challenge(`DPoP algs="ES256", resource_metadata="${world.origin.rs}/custom"`, 'Bearer scope="read"')
    await world.connect().api.get('')
    expect(world.requests('other').map(({ url }) => url)).toEqual(['/custom'])
    expect(scopeAsked()).toBe('read')
    expect(world.requests('api').at(-1)?.headers.authorization).toMatch(/^Bearer /)
  })

  it('is read from x-amzn-remapped-www-authenticate when WWW-Authenticate is missing, only then [challenge.remapped-header]', async () => {
    challengeWith({ 'x-amzn-Remapped-WWW-Authenticate': `Bearer resource_metadata="${rm}", scope="read"` })
    await world.connect().api.get('')
    expect(scopeAsked()).toBe('read')
    challengeWith({
      'x-amzn-Remapped-WWW-Authenticate': 'Bearer scope="admin"',
      'WWW-Authenticate': 'Bearer scope="read"',
    })
    await world.connect().api.get('')
    expect(world.user.visits[1]?.searchParams.get('scope')).toBe('read')
  })

  function lines(value: string): string[] {
    return value.split(/, (?=Bearer)/)
  }
})

describe('the parameters of a challenge', () => {
  it.each<[string, (rm: string) => string]>([
    [
      'escaped quotes in another',
      (url) => `Bearer error_description="say \\"hi\\", scope=\\"admin\\"", scope="read", resource_metadata="${url}"`,
    ],
    [
      'a scope that is explained',
      (url) => `Bearer error_description="need scope=admin now", scope="read", resource_metadata="${url}"`,
    ],
    [
      'an equals sign and a comma in another',
      (url) => `Bearer realm="a=b, c", scope="read", resource_metadata="${url}"`,
    ],
    [
      'a scheme inside a quoted value',
      (url) => `Bearer realm="a, Basic b=\\"c\\"", scope="read", resource_metadata="${url}"`,
    ],
    ['a name that ends in scope', (url) => `Bearer xscope="admin", scope="read", resource_metadata="${url}"`],
    [
      'the scope of another scheme',
      (url) => `Basic scope="admin", Bearer scope="read", resource_metadata="${url}", Evil scope="root"`,
    ],
    ['letters in any case', (url) => `BEARER Resource_Metadata="${url}", SCOPE="read"`],
    ['blanks and tabs everywhere', (url) => `  Bearer \t resource_metadata = "${url}" \t,  scope\t= "read"  `],
    ['values without quotes', (url) => `Bearer resource_metadata=${url}, scope=read`],
  ])(
    'are read past %s [challenge.quoted-string challenge.anchored-params challenge.case-and-space challenge.unquoted-value WA-04 WA-05 WA-08 WA-09 WA-10 WA-11 WA-34]',
    async (_name, header) => {
      world.answer('other', { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } })
      challenge(header(`${world.origin.rs}/custom`))
      await world.connect().api.get('')
      expect(scopeAsked()).toBe('read')
      expect(world.count('other')).toBe(1)
      expect(world.count('prm')).toBe(0)
    },
  )

  it.each<[string, (evil: string, rm: string) => string]>([
    [
      'an explanation',
      (evil, url) => `Bearer error_description="see resource_metadata=${evil}/prm ok", resource_metadata="${url}"`,
    ],
    ['another scheme', (evil) => `Bearer scope="read", Evil resource_metadata="${evil}/prm"`],
    ['a token68 challenge', (evil) => `Bearer abc==, resource_metadata="${evil}/prm"`],
  ])('give no location out of %s [challenge.anchored-params WA-06 WA-07]', async (_name, header) => {
    challenge(header(world.origin.evil, rm))
    await expect(world.connect().api.get('')).resolves.toMatchObject({ status: 200 })
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })

  it('count as absent when scope is repeated or empty [challenge.duplicates WA-12 WA-35]', async () => {
    challenge('Bearer scope="read", scope="admin"')
    await world.connect().api.get('')
    challenge('Bearer scope=""')
    await world.connect().api.get('')
    expect(world.user.visits.map((url) => url.searchParams.has('scope'))).toEqual([false, false])
  })

  it('give every resource_metadata in order until one answers [challenge.duplicates]', async () => {
    const { rs } = world.origin
    world.answer(
      'other',
      { body: { resource: world.serverUrl, authorization_servers: [world.issuer] } },
      { when: ({ url }) => url === '/b' },
    )
    challenge(`Bearer resource_metadata="${rs}/a", resource_metadata="${rs}/b", resource_metadata="${rs}/c"`)
    await world.connect().api.get('')
    expect(world.requests('other').map(({ url }) => url)).toEqual(['/a', '/b'])
    expect(world.count('prm')).toBe(0)
  })

  it('leave one with a syntax error out and the others in use [challenge.never-throws]', async () => {
    challenge(`Broken a="1" b, Bearer resource_metadata="${rm}", scope="read", Digest realm="x`)
    await world.connect().api.get('')
    expect(world.count('prm')).toBe(1)
    expect(world.steps()).toEqual(flow)
  })

  it('ask for a bounded scope [WA-28]', async () => {
    challenge(`Bearer scope="${Array.from({ length: 150 }, (_, index) => `s${index}`).join(' ')}"`)
    await expect(world.connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
    expect(world.user.visits).toEqual([])
  })

  it('do not break out of the scope parameter [WA-29]', async () => {
    challenge('Bearer scope="read &state=x#"')
    await world.connect().api.get('')
    const [url] = world.user.visits
    expect(url?.searchParams.getAll('state')).toHaveLength(1)
    expect(url?.searchParams.get('scope')).toBe('read &state=x#')
    expect(url?.hash).toBe('')
    challenge('Bearer scope="read \\\\x"')
    await expect(world.connect().api.get('')).rejects.toMatchObject({ code: 'OAUTH_METADATA_INVALID' })
  })
})

describe('a later challenge', () => {
  it('without scope does not erase the scope announced before [challenge.no-erase]', async () => {
    const { api } = world.connect()
    world.user.deny()
    challenge('Bearer scope="read"')
    await expect(api.get('')).rejects.toMatchObject({ code: 'OAUTH_AUTHORIZATION_DENIED' })
    world.user.approve()
    challenge('Negotiate')
    await api.get('')
    expect(world.user.visits.map((url) => url.searchParams.get('scope'))).toEqual(['read', 'read'])
  })
})

describe('a challenge on another answer', () => {
  it.each([200, 204, 400, 407, 409, 500, 503])(
    'than a refusal is ignored: %i [challenge.relevant-status WA-30]',
    async (status) => {
      const headers = { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="admin"' }
      world.answer('api', { status, headers })
      await world.connect({}, { validateStatus: null }).api.get('')
      expect(world.steps()).toEqual([`api ${status}`])
    },
  )

  it.each([
    'Bearer error="access_denied", scope="admin"',
    'Bearer scope="admin"',
    'Basic error="insufficient_scope", scope="x"',
  ])(
    'than a request for scope is ignored: 403 with %s [challenge.relevant-status challenge.anchored-params]',
    async (header) => {
      const { api } = world.connect({}, { validateStatus: null })
      await api.get('')
      world.forget()
      world.answer('api', { status: 403, headers: { 'WWW-Authenticate': header } })
      expect((await api.get('')).status).toBe(403)
      expect(world.steps()).toEqual(['api 403'])
    },
  )

  it('that asks for scope is heard on a 403 [challenge.relevant-status]', async () => {
    const { api } = world.connect()
    await api.get('')
    await api.get('/needs?scope=write')
    expect(queryOf({ url: world.requests('authorize').at(-1)?.url ?? '' }).get('scope')).toContain('write')
  })
})

import { OAuthClientProvider, type OAuthFlowError, type OAuthOptions } from 'axios-oauth2'
import { failureOf } from './support/failure-of'
import { ObservedStorage } from './support/observed-storage'
import { rejectionOf } from './support/session'
import { startWorld, withMembers, type Client, type Entry, type World, type WorldOptions } from './support/world'

const documentUrl = 'https://client.example/oauth/metadata.json'

let world: World
let storage: ObservedStorage

async function start(o: WorldOptions = {}): Promise<void> {
  world = await startWorld(o)
  storage = new ObservedStorage()
}

beforeEach(() => start())
afterEach(() => world.stop())

/** Another world instead of the one that every spec begins with. */
async function restart(o: WorldOptions): Promise<void> {
  await world.stop()
  await start(o)
}

/** The body of the registration with this number. */
function registration(index = 0): Record<string, unknown> {
  return world.requests('register')[index]?.json as Record<string, unknown>
}

/** The client ids that came to an endpoint, in order. */
function clientIds(endpoint: 'authorize' | 'token'): (string | null | undefined)[] {
  const id = ({ form, url, headers }: Entry): string | null | undefined => {
    const [, basic] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? []
    if (basic !== undefined) return Buffer.from(basic, 'base64').toString().split(':')[0]
    return form?.get('client_id') ?? new URL(url, world.issuer).searchParams.get('client_id')
  }
  return world.requests(endpoint).map(id)
}

function web(o: Partial<OAuthOptions['clientMetadata'] & object> = {}): Partial<OAuthOptions> {
  return { clientMetadata: { client_name: 'Spec', redirect_uris: ['https://app.example/cb'], ...o } }
}

describe('the identity of a client', () => {
  beforeEach(() => restart({ cimd: true }))

  it('is the static client, before a document and a registration [registration.priority] [static.never-deleted]', async () => {
    const clientInformation = world.addClient()
    const { api, provider } = world.connect({ clientInformation, clientMetadataUrl: documentUrl })
    await api.get('')
    expect(clientIds('authorize')).toEqual([clientInformation.client_id])
    expect([world.count('register'), (await provider.describe()).clientSource]).toEqual([0, 'static'])
  })

  it('is the stored one, without a request, although there is a document by now [registration.priority]', async () => {
    const undo = world.answer('as-metadata', withMembers({ client_id_metadata_document_supported: undefined }))
    const o = { storage, clientMetadataUrl: documentUrl }
    await world.connect(o).api.get('')
    undo()
    await world.connect(o).provider.authorize()
    const [first, second] = clientIds('authorize')
    expect([second, world.count('register')]).toEqual([first, 1])
    expect((await world.connect(o).provider.describe()).clientSource).toBe('dynamic')
  })

  it('is the document, before a registration, and is sent without any secret [registration.priority] [cimd.gated] [cimd.no-secret]', async () => {
    const { api, provider } = world.connect({ clientMetadataUrl: documentUrl })
    await api.get('')
    world.expireTokens()
    await api.get('')
    expect(clientIds('authorize')).toEqual([documentUrl])
    expect(clientIds('token')).toEqual([documentUrl, documentUrl])
    for (const { form, headers } of world.requests('token')) {
      expect(form?.has('client_secret')).toBe(false)
      expect(headers.authorization).toBeUndefined()
    }
    expect([world.count('register'), (await provider.describe()).clientSource]).toEqual([0, 'metadata-document'])
  })

  it.each([undefined, false, 'true', 1, null])(
    'is not the document where the server says %j of documents [cimd.gated]',
    async (client_id_metadata_document_supported) => {
      world.answer('as-metadata', withMembers({ client_id_metadata_document_supported }))
      const { api, provider } = world.connect({ clientMetadataUrl: documentUrl })
      await api.get('')
      expect(clientIds('authorize')).not.toContain(documentUrl)
      expect([world.count('register'), (await provider.describe()).clientSource]).toEqual([1, 'dynamic'])
    },
  )

  it('is not to be had where no way is open, and the error names the three ways out [registration.no-way]', async () => {
    world.answer(
      'as-metadata',
      withMembers({ registration_endpoint: undefined, client_id_metadata_document_supported: undefined }),
    )
    const error = await failureOf(world.connect({ clientMetadataUrl: documentUrl }).api.get(''))
    expect(error).toMatchObject({ name: 'OAuthRegistrationError', code: 'OAUTH_REGISTRATION_FAILED' })
    expect(error.hint).toMatch(/clientInformation.*clientMetadataUrl.*dynamic registration/)
    expect([world.count('register'), world.user.visits.length]).toEqual([0, 0])
  })

  it.each([
    'http://client.example/m.json',
    'https://client.example',
    'https://client.example/',
    'https://client.example/m.json?v=1',
    'https://client.example/m.json#x',
    'https://user@client.example/m.json',
    'https://client.example/a/../m.json',
    'https://client.example/%2e%2e/m.json',
    'client.example/m.json',
    '',
  ])('cannot be a document at %j [cimd.url-rules] [RG-18]', (clientMetadataUrl) => {
    expect(() => world.connect({ clientMetadataUrl })).toThrow(TypeError)
  })

  it('by document is not made anew after invalid_client [RG-17] [cimd.no-secret]', async () => {
    const { api } = world.connect({ clientMetadataUrl: documentUrl })
    world.answer('token', { status: 401, body: { error: 'invalid_client' } })
    await expect(api.get('')).rejects.toMatchObject({ oauthError: 'invalid_client' })
    expect([world.count('register'), world.count('token'), world.user.visits.length]).toEqual([0, 1, 1])
  })
})

describe('a registration', () => {
  it('is one JSON POST with what the flow needs and no more [dcr.request] [dcr.grant-types] [dcr.application-type]', async () => {
    await world.connect().api.get('')
    const [{ method, headers } = {}] = world.requests('register')
    expect([method, headers?.['content-type'], headers?.authorization]).toEqual(['POST', 'application/json', undefined])
    expect(registration()).toEqual({
      client_name: 'Spec',
      redirect_uris: [world.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
      token_endpoint_auth_method: 'none',
    })
    expect(world.count('register')).toBe(1)
  })

  it('sends configured members unchanged, and changes none of the options [dcr.request] [dcr.grant-types] [dcr.application-type]', async () => {
    const clientMetadata = Object.freeze({
      redirect_uris: Object.freeze([world.redirectUri, 'https://app.example/cb']),
      grant_types: Object.freeze(['authorization_code']),
      application_type: 'browser',
      contacts: Object.freeze(['me@app.example']),
      software_id: 'x',
      vendor_member: Object.freeze({ deep: [1] }),
    })
    const before = JSON.stringify(clientMetadata)
    await world.connect({ clientMetadata }).api.get('')
    expect(registration()).toMatchObject(JSON.parse(before) as object)
    expect(JSON.stringify(clientMetadata)).toBe(before)
  })

  it.each([
    ['https://app.example/cb', 'web', 'client_secret_basic'],
    ['com.example.app:/cb', 'native', 'none'],
    ['http://localhost:3000/cb', 'native', 'none'],
  ])('for %s says %s, with method %s [dcr.application-type] [dcr.request]', async (uri, application_type, method) => {
    await world.connect({ ...web({ redirect_uris: [uri] }), interactive: false }).provider.startAuthorization()
    expect(registration()).toMatchObject({ application_type, token_endpoint_auth_method: method })
  })

  it.each([
    [['client_secret_post'], 'client_secret_post'],
    [['private_key_jwt', 'client_secret_basic'], 'client_secret_basic'],
    [undefined, undefined],
  ])('asks, of %j, for the method %s [dcr.request]', async (listed, method) => {
    world.answer('as-metadata', withMembers({ token_endpoint_auth_methods_supported: listed }))
    await world.connect({ interactive: false }).provider.startAuthorization()
    expect(registration().token_endpoint_auth_method).toBe(method)
  })

  it('has the selected scope [dcr.scope]', async () => {
    await restart({ requireScope: 'read', scopesSupported: ['read', 'write'] })
    await world.connect().api.get('')
    expect(registration().scope).toBe('read')
    expect(world.user.visits[0]?.searchParams.get('scope')).toBe('read')
  })

  it.each<[string, OAuthOptions['initialAccessToken']]>([
    ['a text', 'initial-access-token'],
    ['an asynchronous function', () => Promise.resolve('initial-access-token')],
  ])('presents an initial access token given as %s, and only there [dcr.initial-token]', async (_name, token) => {
    await world.connect({ initialAccessToken: token as string }).api.get('')
    expect(world.requests('register').map(({ headers }) => headers.authorization)).toEqual([
      'Bearer initial-access-token',
    ])
    const elsewhere = world.journal.filter(({ endpoint }) => endpoint !== 'register')
    expect(elsewhere.filter((entry) => JSON.stringify(entry).includes('initial-access-token'))).toEqual([])
  })

  it('presents its initial access token to no other server than the first, even after a failure [dcr.initial-token] [static.pinned]', async () => {
    const o = { storage, initialAccessToken: 'initial-access-token' }
    world.answer('register', { status: 403, body: { error: 'access_denied' } }, { times: 1 })
    await failureOf(world.connect(o).api.get(''))
    world.answer('prm', withMembers({ authorization_servers: [world.origin.evil] }))
    await expect(world.connect(o).api.get('')).rejects.toMatchObject({ code: 'OAUTH_AS_CHANGED' })
    expect(world.requests('register').map(({ server }) => server)).toEqual(['as'])
  })

  it.each([200, 201])('is accepted with status %d [dcr.status] [RG-10]', async (status) => {
    world.answer('register', async (_request, honest) => ({ ...(await honest()), status }))
    expect((await world.connect().api.get('')).status).toBe(200)
  })

  const refusals: readonly (readonly [string, { status?: number; body?: string | object }, Partial<OAuthFlowError>])[] =
    [
      ['without client_id', { status: 201, body: { client_name: 'x' } }, {}],
      ['with a number as client_id', { status: 201, body: { client_id: 7 } }, {}],
      ['with an empty client_id', { status: 201, body: { client_id: '' } }, {}],
      ['with a line break in client_id', { status: 201, body: { client_id: 'a\r\nb' } }, {}],
      ['that is HTML', { status: 200, body: '<html>captive portal</html>' }, { status: 200 }],
      ['that is an array', { status: 201, body: [] }, {}],
      ['with status 204', { status: 204 }, { status: 204 }],
      [
        'with status 403',
        { status: 403, body: { error: 'access_denied' } },
        { status: 403, oauthError: 'access_denied' },
      ],
      ['with status 500', { status: 500, body: '<pre>POST redirect_uris</pre>' }, transient(500)],
      ['with status 429', { status: 429, body: '' }, transient(429)],
    ]

  function transient(status: number): Partial<OAuthFlowError> {
    return { code: 'OAUTH_TEMPORARY', retryable: true, status }
  }

  it.each(refusals)(
    'that is answered %s is an OAuthRegistrationError, and nothing is stored or opened [dcr.status] [RG-01] [RG-02] [RG-12]',
    async (_name, answer, expected) => {
      world.answer('register', answer)
      const error = await failureOf(world.connect({ storage }).api.get(''))
      expect(error).toMatchObject({
        name: 'OAuthRegistrationError',
        code: 'OAUTH_REGISTRATION_FAILED',
        phase: 'registration',
        endpoint: `${world.issuer}/register`,
        retryable: false,
        ...expected,
      })
      expect(error.message).not.toMatch(/<|portal|redirect_uris/)
      expect(world.user.visits).toEqual([])
      expect(storage.records('grant')).toEqual([])
      expect(world.count('register')).toBe(1)
    },
  )

  it('that is redirected goes nowhere else [RG-13]', async () => {
    world.answer('register', { status: 307, headers: { Location: `${world.origin.evil}/register` } })
    await expect(world.connect({ initialAccessToken: 't0k3n' }).api.get('')).rejects.toMatchObject({
      code: 'OAUTH_REDIRECT_REFUSED',
    })
    expect(world.journal.filter(({ server }) => server === 'evil')).toEqual([])
  })

  it('whose answer never ends is given up [RG-14]', async () => {
    world.answer('register', 'drip')
    await expect(world.connect({ requestTimeout: 100 }).api.get('')).rejects.toMatchObject({
      code: 'OAUTH_TIMEOUT',
      retryable: true,
    })
    expect(world.user.visits).toEqual([])
  })

  const lenient: readonly (readonly [string, Record<string, unknown>])[] = [
    ['null members', { client_secret: null, redirect_uris: null, grant_types: null, client_secret_expires_at: null }],
    ['empty members', { client_secret: '', redirect_uris: [], scope: '', token_endpoint_auth_method: '' }],
    ['no redirect_uris', { redirect_uris: undefined }],
    ['an unknown application_type', { application_type: 'browser' }],
    ['members of ours', { issuer: 'https://e.example', createdAt: 1, source: 'static', proven: true, rejected: true }],
    ['a management URL', { registration_client_uri: 'https://e.example/x', registration_access_token: 'management-t' }],
  ]

  it.each(lenient)(
    'with %s in its answer works, and after a restart too [dcr.lenient-response] [dcr.application-type] [binding.echo-ignored] [RG-09] [RG-15]',
    async (_name, members) => {
      world.answer('register', withMembers(members))
      expect((await world.connect({ storage }).api.get('')).status).toBe(200)
      world.expireTokens()
      world.forget()
      expect((await world.connect({ storage }).api.get('')).status).toBe(200)
      expect(world.steps()).toEqual(['token 200', 'api 200'])
      expect(storage.holds('management-t')).toBe(false)
      expect(storage.records('grant')).toMatchObject([{ server: { issuer: world.issuer } }])
    },
  )

  it('with a secret and no expiry has one that does not expire [dcr.lenient-response] [RG-04]', async () => {
    await restart({ authMethods: ['client_secret_basic'] })
    world.answer('register', withMembers({ client_secret_expires_at: undefined }))
    const { api, provider } = world.connect({ storage })
    await api.get('')
    world.clock.advance(10 * 365 * 86_400_000)
    await provider.authorize()
    expect(world.count('register')).toBe(1)
  })

  it.each(['client_secret_post', 'client_secret_basic', 'none'])(
    'uses the method %s that the server substituted from then on [dcr.substituted]',
    async (method) => {
      world.answer('register', () => {
        const { client_id, client_secret } = world.addClient({ token_endpoint_auth_method: method })
        return { status: 201, body: { client_id, client_secret, token_endpoint_auth_method: method } }
      })
      const { api } = world.connect({ storage })
      await api.get('')
      world.expireTokens()
      await world.connect({ storage }).api.get('')
      const used = world.requests('token').map(({ form, headers }) => {
        if (headers.authorization !== undefined) return 'client_secret_basic'
        return form?.has('client_secret') === true ? 'client_secret_post' : 'none'
      })
      expect(used).toEqual([method, method])
      expect(world.count('register')).toBe(1)
    },
  )

  it('without the refresh grant refreshes nothing [dcr.substituted] [RG-08]', async () => {
    world.answer('register', withMembers({ grant_types: ['authorization_code'] }))
    const { api } = world.connect()
    await api.get('')
    world.expireTokens()
    await api.get('')
    expect(world.requests('token').map(({ form }) => form?.get('grant_type'))).toEqual([
      'authorization_code',
      'authorization_code',
    ])
  })

  it.each<[string, Record<string, unknown>]>([
    ['other redirect URIs', { redirect_uris: ['https://evil.example/cb'] }],
    ['a method that we cannot do', { token_endpoint_auth_method: 'tls_client_auth' }],
    ['an unknown method', { token_endpoint_auth_method: 'magic' }],
    ['a secret method without secret', { token_endpoint_auth_method: 'client_secret_basic', client_secret: undefined }],
    ['a key method', { token_endpoint_auth_method: 'private_key_jwt' }],
  ])('with %s is refused before the browser opens [dcr.unusable] [RG-05] [RG-06] [RG-07]', async (_name, members) => {
    world.answer('register', withMembers(members))
    const error = await failureOf(world.connect({ storage }).api.get(''))
    expect(error).toMatchObject({ name: 'OAuthRegistrationError', code: 'OAUTH_REGISTRATION_FAILED' })
    expect([world.user.visits.length, world.count('token'), world.count('register')]).toEqual([0, 0, 1])
    expect(storage.records('grant')).toEqual([])
  })

  it('without the secret that the requested method needs is refused before the browser opens [dcr.unusable] [RG-07]', async () => {
    await restart({ authMethods: ['client_secret_basic'] })
    world.answer('register', { status: 201, body: { client_id: 'client-without-secret' } })
    await expect(world.connect({ storage }).api.get('')).rejects.toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED' })
    expect([world.user.visits.length, storage.records('grant').length]).toEqual([0, 0])
  })

  const objections: readonly (readonly [string, string, (body: Record<string, unknown>) => boolean])[] = [
    ['invalid_scope', 'scope', (body) => 'scope' in body],
    ['invalid_client_metadata', 'contacts', (body) => 'contacts' in body],
    ['invalid_redirect_uri', 'redirect_uris', ({ redirect_uris }) => (redirect_uris as string[]).length > 1],
  ]

  it.each(objections)(
    'refused with %s is tried once more without %s, which an event tells [dcr.reduced-retry]',
    async (error, member, objectsTo) => {
      world.answer('register', ({ json }, honest) =>
        objectsTo(json as Record<string, unknown>) ? { status: 400, body: { error } } : honest(),
      )
      const { api, provider } = world.connect({
        scope: 'read',
        clientMetadata: { redirect_uris: [world.redirectUri, `${world.redirectUri}/2`], contacts: ['a@b.example'] },
      })
      const dropped: unknown[] = []
      provider.on('registered', (event) => dropped.push(event.dropped))
      expect((await api.get('')).status).toBe(200)
      expect(world.requests('register').map(({ status }) => status)).toEqual([400, 201])
      expect(objectsTo(registration(1))).toBe(false)
      expect(dropped).toEqual([expect.arrayContaining([member])])
    },
  )

  it.each([
    ['invalid_client_metadata', 2],
    ['unapproved_software_statement', 1],
    ['invalid_software_statement', 1],
    ['server_busy', 1],
  ])('refused with %s in any form is asked for %d times [dcr.reduced-retry] [RG-11]', async (error, times) => {
    const error_description = 'no\u001b[31m\r\nX-Injected: yes\u202e'
    world.answer('register', { status: 400, body: { error, error_description } })
    const failed = await failureOf(world.connect({ scope: 'read' }).api.get(''))
    expect(failed).toMatchObject({ code: 'OAUTH_REGISTRATION_FAILED', oauthError: error, status: 400 })
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(`${failed.message}${failed.oauthErrorDescription}`).not.toMatch(/[\u0000-\u001f\u202e]/)
    expect([world.count('register'), world.user.visits.length]).toEqual([times, 0])
  })

  it('is stored with everything that belongs to it before the browser opens [dcr.stored-before-browser]', async () => {
    await restart({ authMethods: ['client_secret_post'] })
    world.answer('register', withMembers({ client_secret_expires_at: 4_102_444_800 }))
    const gate = world.user.hold()
    const signingIn = world.connect({ storage }).provider.authorize()
    await gate.arrived
    const [{ client } = {}] = storage.records('grant')
    expect(client).toEqual({
      source: 'dynamic',
      client_id: expect.stringMatching(/^client-/) as string,
      client_secret: expect.stringMatching(/^secret-/) as string,
      client_secret_expires_at: 4_102_444_800,
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [world.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
    })
    expect(world.count('authorize')).toBe(0)
    gate.release()
    await signingIn
    world.expireTokens()
    world.forget()
    await world.connect({ storage }).api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('is made once for concurrent needs of different kinds [dcr.stored-before-browser] [RG-16]', async () => {
    const { provider } = world.connect({ interactive: false })
    await Promise.allSettled([
      provider.authorize(),
      provider.getAccessToken(),
      ...Array.from({ length: 10 }, () => provider.startAuthorization()),
      provider.startAuthorization({ scope: 'write' }),
    ])
    expect(world.count('register')).toBe(1)
  })
})

describe('a registration that is over', () => {
  const day = 86_400_000

  it('with an expired secret is made anew, and the old secret is not sent [dcr.secret-expired]', async () => {
    await restart({ authMethods: ['client_secret_post'] })
    const expiry = Math.floor(world.clock.now() / 1000) + 30 * 86_400
    world.answer('register', withMembers({ client_secret_expires_at: expiry }), { times: 1 })
    await world.connect({ storage }).api.get('')
    const [{ client_secret } = {}] = storage.records('grant').map(({ client }) => client as Client)
    world.clock.advance(30 * day)
    world.forget()
    expect((await world.connect({ storage }).api.get('')).status).toBe(200)
    expect(world.steps().slice(-4)).toEqual(['register 201', 'authorize 302', 'token 200', 'api 200'])
    expect(world.count('token')).toBe(1)
    expect(JSON.stringify(world.journal.map(({ body }) => body.toString()))).not.toContain(client_secret)
  })

  it('before it began is refused after one attempt [RG-03] [dcr.secret-expired]', async () => {
    await restart({ authMethods: ['client_secret_post'] })
    world.answer('register', withMembers({ client_secret_expires_at: 1 }))
    await expect(world.connect({ storage }).api.get('')).rejects.toMatchObject({ code: 'OAUTH_CLIENT_EXPIRED' })
    expect([world.count('register'), world.user.visits.length]).toEqual([1, 0])
  })

  it('that the server has forgotten is made anew at the renewal, once, and goes when the new one has worked [dcr.invalid-client] [RG-17]', async () => {
    const { api } = world.connect({ storage })
    await api.get('')
    const [{ client: old } = {}] = storage.records('grant')
    world.forgetClients()
    world.expireTokens()
    world.forget()
    const gate = world.user.hold()
    const request = api.get('')
    await gate.arrived
    // The old one is not gone before the new one is there.
    expect(storage.holds((old as Client).client_id)).toBe(true)
    expect(storage.records('grant')).toHaveLength(2)
    gate.release()
    expect((await request).status).toBe(200)
    expect(world.steps().filter((step) => !/prm|metadata/.test(step))).toEqual([
      'token 401',
      'register 201',
      'authorize 302',
      'token 200',
      'api 200',
    ])
    expect(storage.holds((old as Client).client_id)).toBe(false)
    world.expireTokens()
    world.forget()
    await world.connect({ storage }).api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
  })

  it('that the token endpoint calls unknown is made anew in the same flow, once [dcr.invalid-client] [RG-17]', async () => {
    const { api, provider } = world.connect({ storage })
    await api.get('')
    world.forget()
    world.answer('token', { status: 401, body: { error: 'invalid_client' } }, { times: 1 })
    await provider.authorize()
    expect(world.steps().filter((step) => !/prm|metadata/.test(step))).toEqual([
      'authorize 302',
      'token 401',
      'register 201',
      'authorize 302',
      'token 200',
    ])
    world.answer('token', { status: 401, body: { error: 'invalid_client' } })
    world.forget()
    await expect(provider.authorize()).rejects.toMatchObject({ oauthError: 'invalid_client' })
    expect([world.count('register'), world.count('token')]).toEqual([1, 2])
  })

  it('that is new and unknown all the same is not asked for again in that flow, and made anew in the next [dcr.invalid-client] [dcr.interrupted-login]', async () => {
    world.answer('token', { status: 401, body: { error: 'invalid_client' } }, { times: 1 })
    const { api } = world.connect({ storage })
    await expect(api.get('')).rejects.toMatchObject({ oauthError: 'invalid_client' })
    expect([world.count('register'), world.user.visits.length]).toEqual([1, 1])
    expect((await api.get('')).status).toBe(200)
    expect([world.count('register'), world.user.visits.length]).toEqual([2, 2])
  })

  it('is made anew after invalid_client in two phases, also by another process [dcr.invalid-client] [flow.two-phase]', async () => {
    const o = { storage, interactive: false }
    const signIn = async (): Promise<void> => {
      const { url } = await world.connect(o).provider.startAuthorization()
      await world.connect(o).provider.finishAuthorization(await world.user.visit(url))
    }
    await signIn()
    world.answer('token', { status: 401, body: { error: 'invalid_client' } }, { times: 1 })
    await expect(signIn()).rejects.toMatchObject({ oauthError: 'invalid_client' })
    await signIn()
    expect(world.count('register')).toBe(2)
    expect(storage.records('grant')).toHaveLength(1)
  })

  it('by its redirect URI is made anew, and the old one stays for its refresh token [dcr.redirect-drift] [RG-20]', async () => {
    const { provider } = world.connect({ storage })
    await provider.authorize()
    const moved = { storage, clientMetadata: { redirect_uris: ['http://127.0.0.1:8765/moved'] } }
    world.user.deny()
    await failureOf(world.connect(moved).provider.authorize())
    expect(world.count('register')).toBe(2)
    world.user.approve()
    world.expireTokens()
    world.forget()
    await world.connect(moved).api.get('')
    expect(world.steps()).toEqual(['token 200', 'api 200'])
    await world.connect(moved).provider.authorize()
    expect(world.count('register')).toBe(0)
  })

  it('does not come about by another loopback port alone [dcr.redirect-drift] [RG-20]', async () => {
    const o = (port: number): Parameters<World['connect']>[0] => ({
      storage,
      interactive: false,
      clientMetadata: { redirect_uris: [`http://127.0.0.1:${port}/callback`] },
    })
    await world.connect(o(1000)).provider.startAuthorization()
    const { url } = await world.connect(o(2000)).provider.startAuthorization()
    expect(new URL(url).searchParams.get('redirect_uri')).toBe('http://127.0.0.1:2000/callback')
    expect(world.count('register')).toBe(1)
  })

  const interruptions: readonly (readonly [string, (signal: AbortController) => Partial<OAuthOptions>])[] = [
    ['the deadline', () => ({ timeout: 20, ...handlers(() => new Promise(() => undefined)) })],
    ['a handler that throws', () => handlers(() => Promise.reject(new Error('closed')))],
    [
      'an abort',
      (ending) =>
        handlers(() => {
          ending.abort()
          return new Promise(() => undefined)
        }),
    ],
  ]

  function handlers(callbackHandler: () => Promise<never>): Partial<OAuthOptions> {
    return { redirectHandler: () => undefined, callbackHandler }
  }

  it.each(interruptions)(
    'by %s before it ever led to a token is made anew at the next sign-in [dcr.interrupted-login]',
    async (_name, interruption) => {
      const ending = new AbortController()
      const { provider } = world.connect({ storage, ...interruption(ending) })
      await rejectionOf(provider.authorize({ signal: ending.signal }))
      await world.connect({ storage }).provider.authorize()
      expect(world.count('register')).toBe(2)
      const [first, second] = world.requests('register')
      expect(first?.json).toEqual(second?.json)
    },
  )

  it('in two phases that nobody finished in time is made anew, also by another process [dcr.interrupted-login] [flow.two-phase]', async () => {
    const o = { storage, interactive: false }
    await world.connect(o).provider.startAuthorization()
    world.clock.advance(599_999)
    await world.connect(o).provider.startAuthorization()
    expect(world.count('register')).toBe(1)
    world.clock.advance(1)
    await world.connect(o).provider.startAuthorization()
    await world.connect(o).provider.startAuthorization()
    expect(world.count('register')).toBe(2)
  })

  it('does not come about by a sign-in that is interrupted after it had led to a token [dcr.interrupted-login]', async () => {
    await world.connect({ storage }).provider.authorize()
    await failureOf(
      world.connect({ storage, ...handlers(() => Promise.reject(new Error('closed'))) }).provider.authorize(),
    )
    await world.connect({ storage }).provider.authorize()
    expect(world.count('register')).toBe(1)
  })

  it('does not come about by a refusal of the person [dcr.interrupted-login]', async () => {
    const { api } = world.connect({ storage })
    world.user.deny()
    await failureOf(api.get(''))
    world.user.approve()
    await api.get('')
    expect(world.count('register')).toBe(1)
  })
})

describe('construction', () => {
  const serverUrl = 'https://api.example.com/mcp'

  it('takes a receiver in place of redirect URIs [registration.config-checked]', () => {
    const receiver = { open: () => Promise.reject(new Error('not opened at construction')) }
    expect(() => new OAuthClientProvider({ serverUrl, receiver })).not.toThrow()
  })
})

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { startIdentityProvider, type IdentityProvider } from './support/identity-provider'
import { bundle, createWorkspace, repository, runProgram, type Ending } from './support/readme/program'
import { startStack, UserAgent, type Stack } from './support/servers/start'

// The programs of examples/ that show one grant each, against real servers; examples.spec.ts compiles all of them.

jest.setTimeout(60_000)

const grantType = (name: string): string => `urn:ietf:params:oauth:grant-type:${name}`
const machine = { client_id: 'machine', client_secret: 'a secret: of+the machine' }
const app = { client_id: 'app', client_secret: 'a secret of the app' }

let idp: IdentityProvider
let stack: Stack
let workspace: Awaited<ReturnType<typeof createWorkspace>>
let locate: (name: string) => string
let env: Record<string, string>

beforeAll(async () => {
  idp = await startIdentityProvider()
  workspace = await createWorkspace()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  writeFileSync(path.join(workspace.folder, 'key.pem'), await exportPKCS8(privateKey))
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] }
  const silent = { redirect_uris: [], response_types: [] }
  const asserting = { ...silent, grant_types: [grantType('jwt-bearer'), grantType('token-exchange')] }
  const clients = [
    { ...machine, ...silent, grant_types: ['client_credentials'] },
    {
      ...silent,
      client_id: 'signing',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks,
    },
    { ...app, ...asserting },
    { client_id: 'workload', ...asserting, token_endpoint_auth_method: 'none' },
  ]
  const trustedIssuers = { [idp.issuer]: idp.jwks }
  stack = await startStack({ mcp: false, authorizationServer: { clients, trustedIssuers }, api: { dpop: 'optional' } })
  env = { ISSUER: stack.authorizationServer.urls.issuer, SCOPE: 'notes:read' }
  const names = ['client-credentials', 'private-key-jwt', 'jwt-bearer', 'token-exchange', 'enterprise-managed']
  locate = await bundle(
    workspace.folder,
    [...names, 'device-code', 'dpop'].map((name) => path.join(repository, 'examples', `${name}.ts`)),
  )
})
afterAll(async () => {
  await stack?.stop()
  await idp?.stop()
  await workspace?.remove()
})
beforeEach(() => stack.authorizationServer.control.reset())

/** Writes what a platform would keep in a file; gives where. */
function fileWith(text: string): string {
  const file = path.join(workspace.folder, 'token')
  writeFileSync(file, `${text}\n`)
  return file
}

const run = (name: string, more: Record<string, string>, paths = ['/whoami']): Promise<Ending> =>
  runProgram(locate(name), { args: [stack.api.urls.api, ...paths], env: { ...env, ...more } })
const counters = (): ReturnType<Stack['api']['control']['counters']> => stack.authorizationServer.control.counters()

describe('client-credentials.ts', () => {
  const call = (secret = machine.client_secret): Promise<Ending> =>
    run('client-credentials.ts', { CLIENT_ID: 'machine', CLIENT_SECRET: secret }, ['/notes', '/whoami', '/notes'])

  it('makes several calls with one token and nobody asked', async () => {
    const { code, stdout } = await call()
    const answers = stdout.trim().split('\n')
    expect([code, answers.length]).toEqual([0, 3])
    expect(JSON.parse(answers[1]!)).toMatchObject({ client_id: 'machine', scope: 'notes:read' })
    expect(await counters()).toMatchObject({ tokenRequests: { client_credentials: 1 }, authorizationRequests: 0 })
  })

  it('says in one line that the secret is wrong, without the secret', async () => {
    const { code, stdout, stderr } = await call('wrong-secret')
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^OAUTH_TOKEN_ENDPOINT_ERROR: .*\n$/)
    expect(stderr).not.toContain('wrong-secret')
  })
})

describe('private-key-jwt.ts', () => {
  it('is let in by its key', async () => {
    const { code, stdout } = await run('private-key-jwt.ts', {
      CLIENT_ID: 'signing',
      PRIVATE_KEY_FILE: path.join(workspace.folder, 'key.pem'),
      KEY_ID: 'k',
    })
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ client_id: 'signing' })])
    const [request] = (await stack.authorizationServer.control.journal()).filter(({ path }) => path === '/token')
    expect(request!.form).toEqual(expect.arrayContaining(['client_assertion', 'client_assertion_type']))
  })
})

describe('jwt-bearer.ts', () => {
  const call = async (expiresIn: number): Promise<Ending> => {
    const token = await idp.sign({ aud: env.ISSUER!, sub: 'job-7' }, { expiresIn })
    return run('jwt-bearer.ts', { CLIENT_ID: 'workload', TOKEN_FILE: fileWith(token) })
  }

  it('is let in by the token of its platform', async () => {
    const { code, stdout } = await call(300)
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ sub: 'job-7', client_id: 'workload' })])
  })

  it('says in one line that the token has expired, without the token', async () => {
    const { code, stdout, stderr } = await call(-60)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^OAUTH_TOKEN_ENDPOINT_ERROR: .*expired.*\n$/)
    expect(stderr).not.toContain('eyJ')
  })
})

describe('token-exchange.ts', () => {
  it('acts for whom the subject token stands for', async () => {
    const subject = await idp.sign({ aud: env.ISSUER!, sub: 'bob' })
    const secrets = { CLIENT_ID: app.client_id, CLIENT_SECRET: app.client_secret, SUBJECT_TOKEN: subject }
    const { code, stdout } = await run('token-exchange.ts', secrets)
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ sub: 'bob', client_id: 'app' })])
  })
})

describe('enterprise-managed.ts', () => {
  it("is let in by the company's ID token", async () => {
    const { clientId, clientSecret } = idp.client
    const { code, stdout, stderr } = await run('enterprise-managed.ts', {
      IDP: idp.issuer,
      IDP_CLIENT_ID: clientId,
      IDP_CLIENT_SECRET: clientSecret,
      ID_TOKEN_FILE: fileWith(await idp.sign({ aud: clientId })),
      CLIENT_ID: app.client_id,
      CLIENT_SECRET: app.client_secret,
    })
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ sub: 'alice', client_id: 'app' })])
    expect(stderr).toMatch(new RegExp(`^let in by ${env.ISSUER!} for notes:read`))
  })
})

describe('device-code.ts', () => {
  it('shows a code, and goes on when a person has entered it', async () => {
    const { code, stdout, stderr } = await runProgram(locate('device-code.ts'), {
      args: [stack.api.urls.api, '/whoami'],
      visit: (url) => new UserAgent().approveDevice(url),
    })
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ sub: 'alice' })])
    expect(stderr).toMatch(/^Open \S+ and enter \w{4}-\w{4} before /)
    expect((await counters()).tokensIssued).toEqual({ [grantType('device_code')]: 1 })
  })
})

describe('dpop.ts', () => {
  it('calls with bound tokens and a proof for each request', async () => {
    await stack.api.control.reset()
    const { code, stdout } = await run('dpop.ts', {}, ['/whoami', '/notes'])
    const [whoami = ''] = stdout.split('\n')
    expect([code, JSON.parse(whoami)]).toEqual([0, expect.objectContaining({ sub: 'alice', bound: true })])
    const calls = (await stack.api.control.journal()).filter(
      ({ path, status }) => path.startsWith('/api') && status === 200,
    )
    expect(calls.map(({ authorization, dpop }) => [authorization, dpop])).toEqual(Array(2).fill(['DPoP', true]))
  })
})

import { readdirSync } from 'node:fs'
import path from 'node:path'
import { startStack, UserAgent, type Stack } from './support/servers/start'
import { bundle, createWorkspace, repository, runProgram, start, type Program } from './support/readme/program'
import { complaintsAbout } from './support/readme/typecheck'
import { AppBrowser } from './support/readme/web-application'

// Every program in examples/ compiles and does on real servers what it says. The demo verifies itself: it exits with 0
// only if every step happened as told. The programs of single grants are run in examples-of-grants.spec.ts.

jest.setTimeout(60_000)

const folder = path.join(repository, 'examples')
const ofGrants = [
  'client-credentials.ts',
  'device-code.ts',
  'dpop.ts',
  'enterprise-managed.ts',
  'jwt-bearer.ts',
  'private-key-jwt.ts',
  'token-exchange.ts',
]
const programs = readdirSync(folder).filter((name) => name.endsWith('.ts'))

describe('examples/', () => {
  it('holds exactly the programs that are run here', () => {
    expect(programs.sort()).toEqual([...ofGrants, 'cli.ts', 'mcp.ts', 'server.ts'].sort())
  })

  it('compiles under strict options', () => {
    expect(complaintsAbout(programs.map((name) => path.join(folder, name)))).toEqual([])
  })
})

describe('the programs of examples/, against real servers', () => {
  let stack: Stack
  let workspace: Awaited<ReturnType<typeof createWorkspace>>
  let locate: (name: string) => string

  beforeAll(async () => {
    stack = await startStack()
    workspace = await createWorkspace()
    locate = await bundle(
      workspace.folder,
      programs.map((name) => path.join(folder, name)),
    )
  })
  afterAll(async () => {
    await stack?.stop()
    await workspace?.remove()
  })
  beforeEach(() => stack.authorizationServer.control.reset())
  afterEach(() => stack.authorizationServer.control.post('/decision', {}))

  it.each(programs)('%s says how it is used, and exits with 2', async (name) => {
    expect(await runProgram(locate(name))).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^usage: .*\n$/),
    })
  })

  describe('cli.ts', () => {
    const call = (place: string, more: readonly string[] = []): ReturnType<typeof runProgram> => {
      const { api } = stack.api.urls
      return runProgram(locate('cli.ts'), { args: [`${api}${place}`, '--base', api, ...more] })
    }

    it('signs in, prints the answer alone on stdout, and leaves no valid token behind', async () => {
      const { code, stdout, stderr } = await call('/notes', ['--verbose'])
      expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ owner: 'alice' })])
      expect(stderr).toContain(`authorization server: ${stack.authorizationServer.urls.issuer}\nregistered\n`)
      expect(stderr).toContain('signed in for notes:read notes:write')
      expect((await stack.authorizationServer.control.counters()).revocationRequests).toBeGreaterThan(0)
    })

    it('asks for the scope it is told', async () => {
      expect((await call('/admin', ['--scope', 'notes:admin'])).code).toBe(0)
      expect(await stack.authorizationServer.control.counters()).toMatchObject({ authorizationRequests: 1 })
    })

    it('says in one line that the person refused, and exits with 1', async () => {
      await stack.authorizationServer.control.post('/decision', { error: 'access_denied' })
      const { code, stdout, stderr } = await call('/notes')
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^OAUTH_AUTHORIZATION_DENIED: .*$/m)
      expect(stderr).not.toMatch(/^ +at /m)
    })

    it('says what the API answered, and exits with 1', async () => {
      expect(await call('/status/404')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/The API answered 404\.\n$/),
      })
    })
  })

  describe('mcp.ts', () => {
    const call = (...args: string[]): ReturnType<typeof runProgram> =>
      runProgram(locate('mcp.ts'), { args: [stack.mcp.urls.mcp, ...args] })

    it('lists the tools', async () => {
      const { code, stdout } = await call()
      expect([code, stdout.split('\n')[0]]).toEqual([0, 'echo: Says it again'])
    })

    it('calls a tool', async () => {
      expect(await call('echo', '{"text":"hello"}')).toMatchObject({ code: 0, stdout: 'hello\n' })
    })

    it('asks for more access where a tool needs it', async () => {
      const { code, stdout, stderr } = await call('admin_report')
      expect([code, stdout]).toEqual([0, 'all is well\n'])
      expect(stderr).toContain('more access is needed: mcp:admin')
      expect(await stack.authorizationServer.control.counters()).toMatchObject({ authorizationRequests: 2 })
    })
  })

  describe('server.ts', () => {
    let program: Program
    let origin: string

    beforeAll(async () => {
      program = start(locate('server.ts'), { args: [stack.api.urls.api, '/notes'] })
      origin = await program.prints(/listening on (\S+)\n/)
    })
    afterAll(async () => {
      program?.stop()
      await program?.ended
    })

    async function signIn(browser: AppBrowser, account: string): Promise<{ status: number; text: string }> {
      await stack.authorizationServer.control.post('/decision', { account })
      const { leadsTo = '' } = await browser.open(origin)
      return browser.open(await new UserAgent().authorize(leadsTo))
    }

    it('keeps two users apart, and signs out one of them', async () => {
      const [alice, bob] = [new AppBrowser(), new AppBrowser()]
      expect(JSON.parse((await signIn(alice, 'alice')).text)).toMatchObject({ owner: 'alice' })
      expect(JSON.parse((await signIn(bob, 'bob')).text)).toMatchObject({ owner: 'bob' })
      expect(JSON.parse((await alice.open(origin)).text)).toMatchObject({ owner: 'alice' })
      expect((await alice.open(`${origin}/logout`, 'POST')).text).toBe('Signed out.\n')
      expect((await alice.open(origin)).leadsTo).toContain(stack.authorizationServer.urls.issuer)
      expect(JSON.parse((await bob.open(origin)).text)).toMatchObject({ owner: 'bob' })
    })

    it('sends a user who has not enough access to allow more', async () => {
      const { control } = stack.authorizationServer
      const other = start(locate('server.ts'), { args: [stack.api.urls.api, '/admin'] })
      const place = await other.prints(/listening on (\S+)\n/)
      const browser = new AppBrowser()
      await control.post('/decision', { grant: 'notes:read' })
      const { leadsTo: signIn = '' } = await browser.open(place)
      const { leadsTo: more = '' } = await browser.open(await new UserAgent().authorize(signIn))
      await control.post('/decision', {})
      const { text } = await browser.open(await new UserAgent().authorize(more))
      expect(JSON.parse(text)).toEqual({ admin: true, owner: 'alice' })
      other.stop()
      await other.ended
    })

    it('refuses a callback that another browser started', async () => {
      const [attacker, victim] = [new AppBrowser(), new AppBrowser()]
      const { leadsTo = '' } = await attacker.open(origin)
      await victim.open(origin)
      const { status, text } = await victim.open(await new UserAgent().authorize(leadsTo))
      expect([status, text]).toEqual([400, expect.stringContaining('not started here')])
      expect((await stack.authorizationServer.control.counters()).tokenRequests).toEqual({})
    })

    it('says so when the person does not allow access', async () => {
      const browser = new AppBrowser()
      const { leadsTo = '' } = await browser.open(origin)
      await stack.authorizationServer.control.post('/decision', { error: 'access_denied' })
      const { status, text } = await browser.open(await new UserAgent().authorize(leadsTo))
      expect([status, text]).toEqual([403, 'You did not allow access.\n'])
    })
  })
})

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import * as core from 'axios-oauth2'
import * as node from 'axios-oauth2/node'
import { startStack, UserAgent, type Stack } from './support/servers/start'
import { blocks, codeIn, readme, tableUnder } from './support/readme/document'
import { bundle, createWorkspace, repository, runProgram, type Ending } from './support/readme/program'
import { complaintsAbout, membersOf } from './support/readme/typecheck'
import { AppBrowser, startWebApplication, type WebApplication } from './support/readme/web-application'

// Every TypeScript block of README.md is a file: it compiles as it stands, and runs with servers on loopback in place of
// the addresses it names. A block that nobody runs here fails the first spec.

jest.setTimeout(60_000)

/** Blocks that are programs run as processes; the others are loaded here. */
const programs = [
  'cli.ts',
  'agent.ts',
  'report.ts',
  'feed.ts',
  'requests.ts',
  'events.ts',
  'errors.ts',
  'python.ts',
  'parts.ts',
]
const modules = ['server.ts', 'notes.spec.ts']

const secrets = { ACME_CLIENT_SECRET: 'a secret: of+acme', REPORT_CLIENT_SECRET: 'a secret of the report' }
const clients = [
  {
    client_id: 'acme-web',
    client_secret: secrets.ACME_CLIENT_SECRET,
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
  },
  {
    client_id: 'nightly-report',
    client_secret: secrets.REPORT_CLIENT_SECRET,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  },
]

function textOf(name: string): string {
  return blocks.find((block) => block.name === name)?.text ?? ''
}

describe('the TypeScript blocks of README.md', () => {
  it('are all run by a spec below', () => {
    expect(blocks.map(({ name }) => name).sort()).toEqual([...programs, ...modules].sort())
  })

  it('compile as they stand under strict options', async () => {
    const { folder, remove } = await createWorkspace()
    for (const { name, text } of blocks) writeFileSync(path.join(folder, name), text)
    expect(complaintsAbout(blocks.map(({ name }) => path.join(folder, name)))).toEqual([])
    await remove()
  })
})

describe('the programs of README.md, against real servers', () => {
  let stack: Stack
  let application: WebApplication
  let workspace: Awaited<ReturnType<typeof createWorkspace>>
  let locate: (name: string) => string

  beforeAll(async () => {
    stack = await startStack({ authorizationServer: { clients } })
    application = await startWebApplication()
    workspace = await createWorkspace()
    for (const { name, text } of blocks) writeFileSync(path.join(workspace.folder, name), onLoopback(text))
    locate = await bundle(
      workspace.folder,
      programs.map((name) => path.join(workspace.folder, name)),
    )
  })
  afterAll(async () => {
    await application?.stop()
    await stack?.stop()
    await workspace?.remove()
  })
  beforeEach(() => Promise.all([stack.authorizationServer, stack.api, stack.mcp].map(({ control }) => control.reset())))

  /** What stands for the addresses of the README, the longer ones first. */
  function onLoopback(text: string): string {
    const { api, mcp, authorizationServer } = stack
    const places = [
      ['https://api.example.com/v1/events', `${api.urls.api}/slow?chunks=2`],
      ['https://api.example.com/v1', api.urls.api],
      ['https://mcp.example.com/mcp', mcp.urls.mcp],
      ['https://login.example.com', authorizationServer.urls.issuer],
      ['https://app.example.com', application.origin],
    ] as const
    return places.reduce((result, [place, substitute]) => result.replaceAll(place, substitute), text)
  }

  async function run(name: string, o: Parameters<typeof runProgram>[1] = {}): Promise<Ending> {
    const ending = await runProgram(locate(name), o)
    const trouble = ending.code !== 0 || /error|warning/i.test(ending.stderr)
    expect(trouble ? ending : undefined).toBeUndefined()
    return ending
  }

  it('cli.ts signs the person in at the first call, and ends by itself', async () => {
    const { stdout } = await run('cli.ts')
    expect(stdout).toContain("text: 'buy milk'")
    expect(await stack.authorizationServer.control.counters()).toMatchObject({
      registrations: 1,
      tokensIssued: { authorization_code: 1 },
    })
    const seen = (await stack.api.control.journal()).filter((entry) => entry.path === '/api/notes')
    expect(seen.map((entry) => entry.status)).toEqual([401, 200])
  })

  it('agent.ts lists the tools of a protected MCP server with the official client', async () => {
    expect((await run('agent.ts')).stdout).toBe('echo whoami admin_report\n')
    const seen = (await stack.mcp.control.journal()).filter((entry) => entry.rpc === 'initialize')
    expect(seen.map((entry) => entry.status)).toEqual([401, 200])
  })

  it('report.ts calls with the credentials of the machine', async () => {
    const { stdout } = await run('report.ts', { env: secrets, visit: () => Promise.reject(new Error('not needed')) })
    expect(stdout).toContain("text: 'buy milk'")
    const { tokensIssued, authorizationRequests } = await stack.authorizationServer.control.counters()
    expect({ tokensIssued, authorizationRequests }).toEqual({
      tokensIssued: { client_credentials: 1 },
      authorizationRequests: 0,
    })
  })

  it('report.ts names the option when its secret is missing [errors.base]', async () => {
    const { code, stderr } = await runProgram(locate('report.ts'))
    expect(code).toBe(1)
    expect(stderr).toMatch(/TypeError: axios-oauth2: option `clientInformation` .*client_secret/)
  })

  it('feed.ts opens a stream of its own with a token', async () => {
    expect((await run('feed.ts')).stdout).toBe('200 chunk\nchunk\n\n')
  })

  it('requests.ts asks for scope, changes the user and leaves a request alone', async () => {
    const { stdout } = await run('requests.ts')
    expect(stdout).toBe('401\n')
    const journal = await stack.api.control.journal()
    const seen = journal.filter((entry) => /notes|admin/.test(entry.path)).map((entry) => [entry.path, entry.status])
    expect(seen.filter(([place]) => place === '/api/admin')).toEqual([['/api/admin', 200]])
    expect(seen.at(-1)).toEqual(['/api/notes', 401])
    const tokens = journal.filter((entry) => entry.status === 200 && entry.token !== undefined)
    expect(new Set(tokens.map((entry) => entry.token)).size).toBe(2)
  })

  it('events.ts hears both kinds of events, without a secret', async () => {
    const { stdout } = await run('events.ts')
    const { issuer } = stack.authorizationServer.urls
    expect(stdout).toMatch(new RegExp(`^signed in at ${issuer} for [\\w: ]+ in \\d+ ms\n`))
    expect(stdout).toContain('revoked: true')
    expect((await stack.authorizationServer.control.counters()).revocationRequests).toBeGreaterThan(0)
  })

  it('errors.ts is told where to sign in when nobody can be asked', async () => {
    const { stdout } = await run('errors.ts', { visit: () => Promise.reject(new Error('nobody is there')) })
    expect(stdout).toBe(`sign in at ${stack.authorizationServer.urls.issuer}\n`)
  })

  it('python.ts signs in through the two handlers and a pasted callback', async () => {
    const { stdout } = await run('python.ts', {
      visit: async (url, program) => program.type(await new UserAgent().authorize(url)),
    })
    expect(stdout).toMatch(/^true .*buy milk/s)
  })

  it('parts.ts discovers without signing in [pack.modules-public]', async () => {
    expect((await run('parts.ts')).stdout).toBe(`${stack.authorizationServer.urls.issuer} S256 43\n`)
    expect(await stack.authorizationServer.control.counters()).toMatchObject({ registrations: 0, tokenRequests: {} })
  })

  describe('server.ts', () => {
    const page = (place: string): string => `${application.origin}${place}`

    beforeAll(() => {
      Object.assign(process.env, secrets)
      const handlers = require(path.join(workspace.folder, 'server.ts')) as Record<string, () => Promise<void>>
      application.route('/notes', handlers.showNotes!)
      application.route('/oauth/callback', handlers.finishSignIn!)
    })
    afterAll(() => {
      for (const name of Object.keys(secrets)) delete process.env[name]
    })

    it('sends each user to sign in and shows what is theirs', async () => {
      const alice = new AppBrowser()
      const bob = new AppBrowser()
      for (const [browser, account] of [
        [alice, 'alice'],
        [bob, 'bob'],
      ] as const) {
        await stack.authorizationServer.control.post('/decision', { account })
        const { leadsTo = '' } = await browser.open(page('/notes'))
        const back = await browser.open(await new UserAgent().authorize(leadsTo))
        expect(JSON.parse(back.text)).toMatchObject({ owner: account })
      }
      await stack.authorizationServer.control.post('/decision', {})
      expect(JSON.parse((await alice.open(page('/notes'))).text)).toMatchObject({ owner: 'alice' })
      expect(JSON.parse((await bob.open(page('/notes'))).text)).toMatchObject({ owner: 'bob' })
      expect(await stack.authorizationServer.control.counters()).toMatchObject({ registrations: 0 })
    })

    it("refuses a callback in another person's browser", async () => {
      const attacker = new AppBrowser()
      const victim = new AppBrowser()
      const { leadsTo = '' } = await attacker.open(page('/notes'))
      await victim.open(page('/notes'))
      const callback = await new UserAgent().authorize(leadsTo)
      expect((await victim.open(callback)).status).toBe(400)
      expect((await stack.authorizationServer.control.counters()).tokenRequests).toEqual({})
    })
  })
})

describe('notes.spec.ts of README.md', () => {
  // Specs register while this file is read, so the block is written and loaded at once.
  const cache = path.join(repository, '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(path.join(cache, 'readme-jest-'))
  const file = path.join(folder, 'notes.spec.ts')
  writeFileSync(file, textOf('notes.spec.ts'))
  require(file)
  rmSync(folder, { recursive: true })
})

describe('README.md', () => {
  const firstWords = (heading: string): string[] => tableUnder(heading).flatMap(([cell]) => codeIn(cell))

  it('opens with one sentence and the two commands', () => {
    expect(readme.slice(0, 600)).toMatch(
      /^# axios-oauth2\n\n(?:[^\n]+\n)+\n```sh\nnpm ci && npm run demo\nnpm ci && npm test\n```\n/,
    )
  })

  it('names every option with its type and default, and no other', () => {
    const plain = (text: string): string => {
      const bare = text.replace(/`|readonly /g, '')
      return bare.replace(/Readonly<((?:[^<>]|<[^<>]*>)*)>/g, '$1')
    }
    const told = tableUnder('Options').map(([name, type, value]) =>
      [name, type, value].map((cell) => plain(cell ?? '')),
    )
    const true_ = membersOf('options.ts', 'OAuthOptions').map((member) => [
      member.name,
      plain(member.type),
      plain(member.default ?? ''),
    ])
    expect(told).toEqual(true_)
  })

  it('names every event with its members, and no other', () => {
    expect(firstWords('Events')).toEqual(membersOf('events.ts', 'OAuthEvents').map(({ name }) => name))
    for (const [name, , members] of tableUnder('Events')) {
      const { type } = membersOf('events.ts', 'OAuthEvents').find((event) => `\`${event.name}\`` === name)!
      expect([name, codeIn(members)]).toEqual([
        name,
        [...type.matchAll(/readonly (\w+):/g)].map(([, member]) => member),
      ])
    }
  })

  it('names every error code with what to do, and no other [errors.stable-codes]', () => {
    expect(firstWords('Errors').sort()).toEqual(
      membersOf('errors.ts', 'OAuthErrorCode')
        .map(({ name }) => name)
        .sort(),
    )
    for (const [code, meaning, remedy] of tableUnder('Errors')) expect([code, meaning && remedy]).not.toContain('')
  })

  it('says of every name of the MCP Python SDK which of ours it is', () => {
    const provider = new core.OAuthClientProvider({
      serverUrl: 'https://api.example.com/v1',
      clientMetadata: { redirect_uris: ['http://127.0.0.1/callback'] },
    })
    const options = membersOf('options.ts', 'OAuthOptions').map(({ name }) => name)
    const exists = (code: string): boolean => {
      const [head = '', member = ''] = code.replace(/\(.*$/, '').split('.')
      if (head === 'provider') return member in provider
      if (head === 'context') return member in provider.context
      if (member !== '') return member in (core as unknown as Record<string, object>)[head]!
      return head in core || options.includes(head) || head === 'issuer'
    }
    const rows = tableUnder('For users of the MCP Python SDK')
    expect(rows.flatMap(([, ours]) => codeIn(ours)).filter((code) => !exists(code))).toEqual([])
    expect(rows.length).toBeGreaterThan(15)
  })

  it('names grants, examples and methods that exist', () => {
    const call = (cell: string): string => cell.replace(/\(.*$/, '')
    expect(firstWords('Grants').filter((grant) => !(call(grant) in core))).toEqual([])
    const examples = [...readme.matchAll(/\]\((examples\/[\w.-]*)\)/g)].map(([, file = '']) => file)
    expect(examples.filter((file) => !existsSync(path.join(repository, file)))).toEqual([])
    expect(tableUnder('Grants').filter(([, , example]) => !example?.includes('(examples/'))).toEqual([])
    const methods = firstWords('Methods of the provider').map(call)
    const own = Object.getOwnPropertyNames(core.OAuthClientProvider.prototype)
    expect([...methods].sort()).toEqual(own.filter((name) => !['constructor', 'toJSON'].includes(name)).sort())
  })

  it('states the ranges of package.json and the tested version of axios', () => {
    const manifest = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
      peerDependencies: { axios: string }
      devDependencies: { axios: string }
      engines: { node: string }
      scripts: Record<string, string>
    }
    const rows = Object.fromEntries(tableUnder('What is supported').map(([what, told]) => [what, told]))
    expect(codeIn(rows.axios)).toContain(manifest.peerDependencies.axios)
    expect(rows.axios).toContain(manifest.devDependencies.axios)
    expect(`>=${rows.Node?.slice(0, 2)}`).toBe(manifest.engines.node)
    const scripts = [...readme.matchAll(/npm (?:run )?(test|demo|bench|conformance|lint|format)\b/g)].map(([, s]) => s)
    expect(scripts.filter((script) => !Object.hasOwn(manifest.scripts, script ?? ''))).toEqual([])
    expect(Object.keys(node).filter((name) => !readme.includes(`\`${name}`))).toEqual([])
  })
})

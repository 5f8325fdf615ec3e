import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { defaultGroups, groups, runsOf, scenarios, suiteVersion, type Group, type Run } from './expectations.mjs'
import { observe, projectFolder, suiteArguments } from './referee.mjs'
import { judge, type Observation } from './verdict.mjs'

const allGroups = Object.keys(groups) as Group[]
const here = path.join(projectFolder, 'spec', 'conformance')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'axios-oauth2-suite-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

interface Ended {
  readonly exit: number | string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs Node to its end, without the flags that this process was started with. */
function node(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: '' }
    execFile(process.execPath, [...args], { env, cwd: folder }, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : (error.code ?? null), stdout, stderr }),
    )
  })
}

async function write(name: string, content: string): Promise<string> {
  const file = path.join(folder, name)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, content)
  return file
}

function runOf(scenario: string, wire: string): Run {
  const found = runsOf(allGroups).find((run) => run.scenario === scenario && run.wire === wire)
  if (found === undefined) throw new Error(`There is no run of ${scenario} at ${wire}`)
  return found
}

describe('the list of runs', () => {
  it('has 33 scenarios and 53 runs, 39 of them required [pack.conformance]', () => {
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(33)
    expect(scenarios).toHaveLength(33)
    expect(runsOf(allGroups)).toHaveLength(53)
    expect(new Set(runsOf(allGroups).map(({ scenario, wire }) => `${scenario} ${wire}`)).size).toBe(53)
    expect(runsOf(['A', 'B'])).toHaveLength(39)
    expect(runsOf(['A', 'B']).filter(({ wire }) => wire === '2025-11-25')).toHaveLength(14)
    expect(runsOf(['A', 'B']).filter(({ wire }) => wire === '2026-07-28')).toHaveLength(25)
    expect(runsOf(defaultGroups)).toHaveLength(53)
  })

  it('names what the suite names under auth/ and nothing else, at the wires it is made for [pack.conformance]', async () => {
    const { exit, stdout } = await node(...suiteArguments(), 'list', '--client')
    expect(exit).toBe(0)

    const offered = [...stdout.matchAll(/^ *- (auth\/\S+) \[([^\]]*)\]$/gm)].map(([, name, wires]) => ({ name, wires }))
    expect(offered.map(({ name }) => name).toSorted()).toEqual(scenarios.map(({ name }) => name).toSorted())
    for (const { name, wires } of offered) {
      const group = scenarios.find((scenario) => scenario.name === name)?.group ?? 'D'
      if (group === 'D') expect([name, wires]).toEqual([name, 'extension'])
      else
        for (const wire of groups[group].wires)
          expect([name, wires?.split(',')]).toEqual([name, expect.arrayContaining([wire])])
    }
  })

  it('is the list of exactly the version that is installed [pack.conformance]', async () => {
    const manifest = JSON.parse(await readFile(path.join(projectFolder, 'package.json'), 'utf8'))
    expect(manifest.devDependencies['@modelcontextprotocol/conformance']).toBe(suiteVersion)
  })
})

describe('node --import load-hook.mjs', () => {
  const bundle = 'node_modules/@modelcontextprotocol/conformance/dist/index.js'
  const hook = pathToFileURL(path.join(here, 'load-hook.mjs')).href

  beforeAll(() => write('package.json', '{ "type": "module" }'))

  it('takes globSync, which Node 20 lacks, out of the import of the suite [pack.conformance]', async () => {
    const use = 'console.log(typeof i); try { a() } catch (error) { console.log(error.message) }'
    const file = await write(bundle, `import{existsSync as i,globSync as a,readFileSync as n}from"fs";${use}`)
    expect((await node('--import', hook, file)).stdout).toBe('function\nfs.globSync needs Node 22\n')
  })

  it('refuses a suite that looks different [pack.conformance]', async () => {
    const file = await write(bundle, 'import{existsSync as i}from"fs";console.log(typeof i)')
    const { exit, stderr } = await node('--import', hook, file)
    expect(exit).not.toBe(0)
    expect(stderr).toContain('no longer imports globSync')
  })

  it('leaves every other module alone [pack.conformance]', async () => {
    const file = await write('other.mjs', 'import{existsSync as i}from"fs";console.log(typeof i)')
    expect((await node('--import', hook, file)).stdout).toBe('function\n')
  })
})

describe('judge(run, observation)', () => {
  const token = { id: 'valid-bearer-token', status: 'SUCCESS' }
  const request = (method: string, endpoint: string) => ({
    id: 'incoming-auth-request',
    status: 'INFO',
    details: { method, path: endpoint },
  })
  const registration = request('POST', '/register')
  const authorization = request('GET', '/authorize')
  const tokenRequest = request('POST', '/token')
  const done = '{"outcome":"done"}\n'

  const clean: Observation = {
    cliExit: 0,
    deadline: false,
    stderr: 'Starting scenario: auth/metadata-default\n',
    checks: [registration, authorization, tokenRequest, token, token],
    driverOutput: done,
  }
  const signIn = runOf('auth/metadata-default', '2026-07-28')

  it('is green for a clean run and counts what it saw [pack.conformance]', () => {
    expect(judge(signIn, clean)).toMatchObject({
      green: true,
      reasons: [],
      passed: 2,
      failed: 0,
      warnings: 0,
      driverExit: 0,
      counts: { V: 2, R: 1, A: 1, T: 1 },
      notSuccessful: [],
    })
  })

  const withChecks = (...more: readonly unknown[]): Partial<Observation> => ({
    checks: [...(clean.checks as unknown[]), ...more],
  })
  const without = (entry: unknown): Partial<Observation> => ({
    checks: (clean.checks as unknown[]).filter((check) => check !== entry),
  })
  const exited = (code: number): string => `\n\u001b[31mClient exited with code ${code}\u001b[0m\n`

  const traps: readonly (readonly [string, Partial<Observation>, RegExp])[] = [
    ['the suite exited with 1', { cliExit: 1 }, /suite exited with 1/],
    ['the suite died from a signal', { cliExit: null }, /suite exited with a signal/],
    ['the deadline passed', { deadline: true, cliExit: null }, /deadline/],
    ['the scenario was skipped', { checks: undefined, driverOutput: undefined }, /no readable checks\.json/],
    ['checks.json is no list', { checks: {} }, /no readable checks\.json/],
    ['nothing was checked', { checks: [] }, /no check succeeded/],
    ['a check failed', withChecks({ id: 'x', status: 'FAILURE', description: 'broke' }), /FAILURE x: broke/],
    ['a check warned', withChecks({ id: 'x', status: 'WARNING', description: 'hm' }), /WARNING x: hm/],
    ['the driver exited with 7 and only the suite says so', { stderr: exited(7) }, /exited with 7 instead of 0/],
    ['the driver timed out', { stderr: 'Client timed out after 30000ms' }, /timed out/],
    ['a signal killed the driver, which counts as exit 0', { driverOutput: '' }, /last line/],
    ['the output of the driver is missing', { driverOutput: undefined }, /last line/],
    ['the last line is something else', { driverOutput: `${done}bye\n` }, /last line/],
    ['the last line is JSON of something else', { driverOutput: 'null\n' }, /last line/],
    ['the driver is broken but exited with 0', { driverOutput: '{"outcome":"broken"}' }, /ended with .*broken/],
    ['the library refused', { driverOutput: '{"outcome":"rejected","status":403}' }, /ended with .*rejected/],
    ['one token was not seen', { checks: [registration, authorization, tokenRequest, token] }, /V is 1 instead of 2/],
    ['one token too many was seen', withChecks(token), /V is 3 instead of 2/],
    ['nothing was registered', without(registration), /R is 0 instead of 1/],
    ['it registered twice', withChecks(registration), /R is 2 instead of 1/],
    ['it asked twice', withChecks(authorization), /A is 2 instead of 1/],
    ['it exchanged twice', withChecks(tokenRequest), /T is 2 instead of 1/],
    ['it exchanged elsewhere', withChecks(request('POST', '/other/token')), /went to \/other\/token/],
  ]
  it.each(traps)('is red when %s [pack.conformance]', (_what, change, reason) => {
    const verdict = judge(signIn, { ...clean, ...change })
    expect(verdict.green).toBe(false)
    expect(verdict.reasons.join('\n')).toMatch(reason)
  })

  it('wants every request below the path of the issuer where it has one [pack.conformance]', () => {
    const below = (method: string, endpoint: string) => request(method, `/tenant1${endpoint}`)
    const requests = [below('POST', '/register'), below('GET', '/authorize'), below('POST', '/token')]
    const tenant = runOf('auth/metadata-var2', '2026-07-28')
    expect(judge(tenant, { ...clean, checks: [...requests, token, token] }).green).toBe(true)
    expect(judge(tenant, clean).reasons).toContainEqual(expect.stringMatching(/went to \/register/))
  })

  describe('of a rejection', () => {
    const refusal = runOf('auth/iss-wrong-issuer', '2026-07-28')
    const refused: Observation = {
      ...clean,
      stderr: exited(1),
      checks: [registration, authorization, { id: 'x', status: 'SUCCESS' }],
      driverOutput: '{"outcome":"rejected","code":"OAUTH_ISSUER_MISMATCH"}\n',
    }

    it('is green with the expected code [pack.conformance]', () => {
      expect(judge(refusal, refused)).toMatchObject({ green: true, driverExit: 1 })
    })

    it.each([
      ['another code', { driverOutput: '{"outcome":"rejected","code":"OAUTH_LOOP"}' }],
      ['a bare status', { driverOutput: '{"outcome":"rejected","status":403}' }],
      ['success', { driverOutput: done, stderr: '' }],
      ['exit 0, which the suite would accept', { stderr: '' }],
      ['a bug of ours', { driverOutput: '{"outcome":"broken"}', stderr: exited(2) }],
      ['a token request all the same', { checks: [...(refused.checks as unknown[]), tokenRequest] }],
    ])('is red with %s [pack.conformance]', (_what, change) => {
      expect(judge(refusal, { ...refused, ...change }).green).toBe(false)
    })

    it('takes the 403 of the API or OAUTH_SCOPE_DENIED for an endless step-up [pack.conformance]', () => {
      const endless = runOf('auth/scope-retry-limit', '2026-07-28')
      const flow = [authorization, tokenRequest]
      const end = (ending: object, checks: readonly unknown[]): boolean =>
        judge(endless, { ...refused, driverOutput: JSON.stringify({ outcome: 'rejected', ...ending }), checks }).green
      const success = { id: 'scope-retry-limit', status: 'SUCCESS' }

      expect(end({ status: 403 }, [success, registration, ...flow])).toBe(true)
      expect(end({ status: 403 }, [success, registration, ...flow, ...flow])).toBe(true)
      expect(end({ code: 'OAUTH_SCOPE_DENIED', status: 403 }, [success, registration, ...flow])).toBe(true)
      expect(end({ status: 410 }, [success, registration, ...flow])).toBe(false)
      expect(end({ code: 'OAUTH_LOOP', status: 403 }, [success, registration, ...flow])).toBe(false)
      expect(end({ status: 403 }, [success, registration, ...flow, ...flow, ...flow])).toBe(false)
      expect(end({ status: 403 }, [success, registration, authorization, ...flow])).toBe(false)
    })
  })
})

describe('observe(run, { driver, folder, deadline })', () => {
  const run = runOf('auth/metadata-default', '2025-11-25')

  it('ends a driver that hangs and ignores the suite when the deadline passes [pack.conformance]', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const hung = `process.on('SIGTERM', () => {}); require('node:net').connect(${port}, '127.0.0.1').resume()`
    const driver = await write('hung.cjs', hung)
    const deadline = new AbortController()
    const observation = observe(run, { driver, folder: path.join(folder, 'hung'), deadline: deadline.signal })

    const [line] = (await once(server, 'connection')) as [Socket] // its other end is open as long as the driver runs
    const driverEnded = once(line.resume(), 'close')
    deadline.abort()
    expect(judge(run, await observation).reasons).toContain('the run passed its deadline and was killed')
    await driverEnded
    server.close()
  }, 60_000)
})

describe('npm run conformance', () => {
  it('is red for a driver that exits with 0 at once [pack.conformance]', async () => {
    await write('library/package.json', '{ "name": "axios-oauth2", "version": "0.0.0" }')
    const driver = await write('idle.mjs', 'process.exit(0)')
    const output = path.join(folder, 'idle')
    const kinds = ['metadata-default', 'iss-unexpected', 'client-credentials-basic', 'endpoint-fallback']
    const flags = ['--library', path.join(folder, 'library'), '--driver', driver, '--output', output]
    const { exit, stdout } = await node(path.join(here, 'run.mjs'), ...flags, ...kinds)

    expect(stdout.trimEnd().split('\n').at(-1)).toBe('0 passed, 6 failed')
    expect(exit).toBe(1)
    const summary = JSON.parse(await readFile(path.join(output, 'summary.json'), 'utf8'))
    expect(summary).toMatchObject({ suite: suiteVersion, passed: 0, failed: 6 })
    expect(summary.runs).toHaveLength(6)
    expect(summary.runs[0]).toMatchObject({ scenario: 'auth/metadata-default', wire: '2025-11-25', driverExit: 0 })
  }, 120_000)

  it('refuses a filter that matches nothing [pack.conformance]', async () => {
    const { exit, stderr } = await node(path.join(here, 'run.mjs'), 'no-such-scenario')
    expect(exit).toBe(2)
    expect(stderr).toContain('No run matches no-such-scenario')
  })
})

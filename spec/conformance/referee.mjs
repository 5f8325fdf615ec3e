import { spawn } from 'node:child_process'
import { readFile, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { suiteVersion } from './expectations.mjs'

/** The suite's own limit for a driver, which ends only the shell, and ours for all of a run; milliseconds. */
const driverTimeout = 30_000
const runDeadline = 60_000

const running = new Set()

/** The arguments with which Node starts the suite's command line. */
export function suiteArguments() {
  const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')
  const { version } = createRequire(manifest)(manifest)
  if (version !== suiteVersion) throw new Error(`The expectations are those of ${suiteVersion}, found ${version}`)
  const hook = ['--import', new URL('load-hook.mjs', import.meta.url).href]
  const command = path.join(path.dirname(manifest), 'dist', 'index.js')
  return [...(Number.parseInt(process.versions.node) < 22 ? hook : []), command]
}

/**
 * Runs one scenario once and returns what is left of it. `folder` is emptied; the suite writes its files there. When
 * `deadline` aborts, everything that the run has started is killed.
 */
export async function observe(run, { driver, folder, deadline = AbortSignal.timeout(runDeadline) }) {
  await rm(folder, { recursive: true, force: true })
  const command = `exec ${shellQuoted(process.execPath)} ${shellQuoted(driver)}`
  const outcome = await runSuite(run, { command, folder, deadline })
  const files = await readdir(folder, { recursive: true }).catch(() => [])
  const read = async (name) => {
    const file = files.find((candidate) => path.basename(candidate) === name)
    return file === undefined ? undefined : await readFile(path.join(folder, file), 'utf8')
  }
  return {
    ...outcome,
    checks: parsed(await read('checks.json')),
    driverOutput: await read('stdout.txt'),
    driverErrors: await read('stderr.txt'),
  }
}

/** Ends everything that {@link observe} has started and that still runs. */
export function endAll() {
  for (const pid of running) endGroup(pid)
}

async function runSuite({ scenario, wire, force }, { command, folder, deadline }) {
  const options = ['--scenario', scenario, '--spec-version', wire, ...(force ? ['--force'] : [])]
  const limits = ['--timeout', String(driverTimeout), '-o', folder]
  const child = spawn(process.execPath, [...suiteArguments(), 'client', '--command', command, ...options, ...limits], {
    detached: true, // a process group of its own, so that the driver ends with it
    stdio: ['ignore', 'pipe', 'pipe'],
    env: suiteEnvironment(),
  })
  running.add(child.pid)
  const end = () => endGroup(child.pid)
  deadline.addEventListener('abort', end, { once: true })
  const closed = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [cliExit, stderr] = await Promise.all([closed, text(child.stderr), text(child.stdout)])
  deadline.removeEventListener('abort', end)
  running.delete(child.pid)
  end() // a driver's own children, should it leave any
  return { cliExit, deadline: deadline.aborted, stderr }
}

/** Without a proxy, as everything is on this machine, and without flags for Node, which the driver would inherit. */
function suiteEnvironment() {
  const { NODE_OPTIONS: _flags, ...environment } = process.env
  return { ...environment, NO_PROXY: 'localhost', no_proxy: 'localhost' }
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error // ESRCH: nothing of it runs any more
  }
}

function parsed(json) {
  try {
    return JSON.parse(json)
  } catch {
    return undefined // none, or one that was cut off
  }
}

/** The suite hands the command to a shell. */
function shellQuoted(argument) {
  return `'${argument.replaceAll("'", `'\\''`)}'`
}

/** The folder of this project. */
export const projectFolder = fileURLToPath(new URL('../..', import.meta.url))

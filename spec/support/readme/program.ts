import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { UserAgent } from '../servers/start'

export const repository: string = path.resolve(__dirname, '../../..')

/** Milliseconds after which a program counts as hanging. */
const deadline = 40_000

/** A folder inside the repository, so that packages are found from it; ignored by git, lint and layout. */
export async function createWorkspace(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const cache = path.join(repository, '.cache')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(path.join(cache, 'programs-'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Compiles programs; gives where the result of `name.ts` is. */
export async function bundle(folder: string, programs: readonly string[]): Promise<(name: string) => string> {
  await promisify(execFile)(process.execPath, [path.join(__dirname, 'bundle.mjs'), folder, ...programs])
  return (name) => path.join(folder, name.replace(/\.ts$/, '.mjs'))
}

export interface Ending {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A program under way, as a user starts it: without a browser, so it prints where to sign in, and somebody does. */
export interface Program {
  readonly ended: Promise<Ending>
  /** Resolves with the first match in what the program wrote to stdout. */
  prints(pattern: RegExp): Promise<string>
  type(line: string): void
  stop(): void
}

/**
 * Starts a compiled program. `visit` is what the person does with an address printed on stderr; by default they sign in
 * and their browser follows the redirect to the program.
 */
export function start(
  file: string,
  o: {
    args?: readonly string[]
    env?: Readonly<Record<string, string>>
    visit?: (url: string, program: Program) => Promise<unknown>
  } = {},
): Program {
  const { args = [], env = {}, visit = (url) => new UserAgent().signIn(url) } = o
  const child = spawn(process.execPath, [file, ...args], {
    env: { PATH: process.env.PATH, CI: 'true', NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  const watchers = new Set<() => void>()
  const visited = new Set<string>()
  const timer = setTimeout(() => child.kill('SIGKILL'), deadline)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
    for (const watch of watchers) watch()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
    for (const [, url = ''] of output.stderr.matchAll(/^\s*(https?:\/\/\S+)\s*\n/gm)) {
      if (visited.has(url)) continue
      visited.add(url)
      visit(url, program).catch((error: unknown) => {
        output.stderr += `\nThe person failed: ${String(error)}\n`
        child.kill('SIGKILL')
      })
    }
  })
  const ended = new Promise<Ending>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...output })
      for (const watch of watchers) watch()
    })
  })
  const program: Program = {
    ended,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          const match = pattern.exec(output.stdout)
          if (match === null && child.exitCode === null && child.signalCode === null) return
          watchers.delete(watch)
          if (match !== null) resolve(match[1] ?? match[0])
          else reject(new Error(`ended without ${pattern}: ${output.stdout}${output.stderr}`))
        }
        watchers.add(watch)
        watch()
      }),
    type: (line) => void child.stdin.write(`${line}\n`),
    stop: () => void child.kill(),
  }
  return program
}

/** Runs a program to its end. */
export function runProgram(file: string, o: Parameters<typeof start>[1] = {}): Promise<Ending> {
  return start(file, o).ended
}

import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

export const repository: string = path.resolve(__dirname, '../..')

/** What a finished process left behind. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, without what Jest put into the environment. */
export function run(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const { NODE_OPTIONS: _options, JEST_WORKER_ID: _worker, NODE_ENV: _environment, ...env } = process.env
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env, timeout: 120_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })
}

/** Runs a script with this Node. */
export function runNode(args: readonly string[], cwd: string): Promise<Outcome> {
  return run(process.execPath, args, cwd)
}

/** A project of a user that has nothing but axios and the packed package installed. */
export interface Consumer {
  readonly folder: string
  readonly tarball: string
  /** The paths in the tarball, sorted. */
  readonly files: readonly string[]
  /** The folder that the package was installed to. */
  readonly installed: string
  remove(): Promise<void>
}

/**
 * Builds and packs this repository and installs the tarball into an empty project, by npm and offline: a dependency that
 * is not inside the tarball makes it fail. axios comes from our own node_modules.
 */
export async function createConsumer(): Promise<Consumer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'axios-oauth2-consumer-'))
  await cp(path.join(__dirname, 'consumer'), folder, { recursive: true })
  await succeed('npm', ['run', '--silent', 'build'], repository)
  await succeed('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], repository)
  const tarball = path.join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '')
  await copyWithDependencies('axios', path.join(folder, 'node_modules'))
  const { version } = (await readManifest(path.join(folder, 'node_modules/axios'))) as { version: string }
  await writeFile(
    path.join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, dependencies: { axios: version } }),
  )
  await succeed('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', tarball], folder)
  const { stdout } = await succeed('tar', ['-tzf', tarball], folder)
  return {
    folder,
    tarball,
    files: stdout
      .trim()
      .split('\n')
      .map((file) => file.replace(/^package\//, ''))
      .sort(),
    installed: path.join(folder, 'node_modules/axios-oauth2'),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Reads the package.json of a folder. */
export async function readManifest(folder: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
}

async function succeed(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const outcome = await run(command, args, cwd)
  if (outcome.code === 0) return outcome
  throw new Error(`${command} ${args.join(' ')} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`)
}

async function copyWithDependencies(name: string, target: string): Promise<void> {
  const source = path.join(repository, 'node_modules', name)
  await mkdir(target, { recursive: true })
  await cp(source, path.join(target, name), { recursive: true })
  const { dependencies = {} } = (await readManifest(source)) as { dependencies?: Record<string, string> }
  for (const dependency of Object.keys(dependencies)) await copyWithDependencies(dependency, target)
}

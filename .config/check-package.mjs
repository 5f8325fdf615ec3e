/**
 * Packs the package (or takes the tarball given) and has it judged by publint and by attw ("are the types wrong?").
 * Needs no network. Exits 1 when one of them finds anything.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const temporary = mkdtempSync(path.join(os.tmpdir(), 'axios-oauth2-check-'))

function run(command, ...args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  return status === 0
}

function runTool(tool, ...args) {
  return run(process.execPath, path.join(root, 'node_modules', tool), ...args)
}

function pack() {
  if (!run('npm', 'run', '--silent', 'build')) throw new Error('The build failed.')
  if (!run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', temporary))
    throw new Error('npm pack failed.')
  return path.join(temporary, readdirSync(temporary)[0])
}

try {
  const tarball = process.argv[2] ?? pack()
  const outcomes = [
    runTool('publint/src/cli.js', 'run', tarball, '--strict'),
    // node10 knows no `exports`; TypeScript 6 has given it up.
    runTool('@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'node16', '--no-color', '--no-emoji'),
    process.argv[2] !== undefined || runTool('../.config/measure.mjs'),
  ]
  process.exitCode = outcomes.every(Boolean) ? 0 : 1
} finally {
  rmSync(temporary, { recursive: true, force: true })
}

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Runs a script of this folder in a process of its own and gives the JSON that it prints. */
export async function runProcess(script, args) {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', fileURLToPath(script), ...args])
  return JSON.parse(stdout)
}

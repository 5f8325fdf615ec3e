import { execFile, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Runs a script of this folder in a process of its own, with options for its `serveProcess`, and gives its result. */
export async function runProcess(script, options) {
  const args = [fileURLToPath(script), JSON.stringify(options)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: Infinity })
  return JSON.parse(stdout)
}

/** The other end: where the script is what this process runs, does the work with the options and prints its result. */
export async function serveProcess(script, work) {
  if (process.argv[1] !== fileURLToPath(script)) return
  process.stdout.write(JSON.stringify(await work(JSON.parse(process.argv[2]))))
}

/** Starts the loopback server in a process of its own; `ask(command)` resolves with its answer. */
export async function startServer() {
  const child = fork(fileURLToPath(new URL('./server.mjs', import.meta.url)), { execArgv: [] })
  const waiting = []
  child.on('message', (answer) => waiting.shift()(answer))
  const ask = (command) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      child.send(command)
    })
  const { origin } = await ask({ name: 'origin' })
  return { origin, ask, stop: () => void child.disconnect() }
}

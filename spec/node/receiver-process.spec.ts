import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { LoopbackReceiverOptions } from '../../lib/node'
import { isListening, send, state } from './loopback-client'

const program = join(__dirname, 'receiver-process.cjs')

/** A child process whose output the spec can wait for. */
class Program {
  output = ''
  readonly process: ChildProcess
  readonly exit: Promise<unknown[]>

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.process = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.exit = once(this.process, 'close')
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.output += chunk
        this.process.emit('spec-output')
      })
    }
  }

  async sees(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.output)
      if (found !== null) return found[1] ?? found[0]
      await Promise.race([
        once(this.process, 'spec-output'),
        this.exit.then(() => {
          if (!pattern.test(this.output)) throw new Error(`ended without ${pattern}: ${this.output}`)
        }),
      ])
    }
  }
}

const redirectUri = /(http:\/\/127\.0\.0\.1:\d+\/callback)\r?\n/

describe('a program that signs in through loopbackReceiver()', () => {
  let folder: string
  const programs: Program[] = []
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'receiver-'))))
  afterEach(() => {
    for (const { process: child } of programs.splice(0)) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  const start = (options: LoopbackReceiverOptions, o: { timeout?: number; env?: NodeJS.ProcessEnv } = {}): Program => {
    const child = new Program(process.execPath, [program, JSON.stringify({ options, timeout: o.timeout })], o.env)
    programs.push(child)
    return child
  }

  /** A launcher on the PATH that does what the script says. */
  const launcherEnvironment = (script: string): NodeJS.ProcessEnv => {
    const file = join(folder, 'xdg-open')
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    return { ...process.env, PATH: [folder, dirname(process.execPath), process.env['PATH']].join(delimiter) }
  }

  /** Resolves with the content of a file that a launcher writes, once it is there. */
  const written = async (name: string): Promise<string> => {
    const file = join(folder, name)
    const watcher = watch(folder)
    try {
      while (!existsSync(file)) await once(watcher, 'change')
    } finally {
      watcher.close()
    }
    return readFileSync(file, 'utf8')
  }

  const record =
    'd=$(dirname "$0"); { echo $#; for a; do echo "$a"; done; } > "$d/argv.tmp"; ' +
    'env > "$d/env.tmp"; mv "$d/env.tmp" "$d/env"; mv "$d/argv.tmp" "$d/argv"'

  const signIn = async (child: Program): Promise<void> => {
    const uri = await child.sees(redirectUri)
    expect((await send(uri, { target: `/callback?code=c&state=${state}` })).status).toBe(200)
    expect(await child.exit).toEqual([0, null])
    expect(child.output).toContain('outcome http')
    expect(child.output).toContain('left []')
    expect(await isListening(uri)).toBe(false)
  }

  it('exits by itself after success, and leaves nothing [receiver.closes]', async () => {
    await signIn(start({ openBrowser: false }))
  })

  it('exits by itself at the deadline [CB-26] [receiver.closes]', async () => {
    const child = start({ openBrowser: false }, { timeout: 50 })
    expect(await child.exit).toEqual([0, null])
    expect(child.output).toContain('outcome too late\nleft []')
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('is ended by %s while the browser is open [AB-14]', async (signal) => {
    const child = start({ openBrowser: false })
    const uri = await child.sees(redirectUri)
    child.process.kill(signal)
    expect(await child.exit).toEqual([null, signal])
    expect(await isListening(uri)).toBe(false)
  })

  const onLinux = process.platform === 'linux' ? it : it.skip

  onLinux('starts the launcher with the URL as its one argument, and none of its secrets [AS-14] [SC-09]', async () => {
    const env = { ...launcherEnvironment(record), CLIENT_SECRET: 'hunter2-secret', DISPLAY: ':99' }
    delete (env as NodeJS.ProcessEnv)['WSL_DISTRO_NAME']
    const child = start({ openBrowser: true }, { env })
    const query = 'a=$(calc)&b=`id`&c=1|calc&e=%27%22;x'
    expect(await written('argv')).toBe(`1\nhttps://as.example.com/authorize?${query}&state=${state}\n`)
    expect(await written('env')).not.toContain('hunter2-secret')
    expect(await written('env')).toContain('DISPLAY=:99')
    await signIn(child)
  })

  onLinux('is told once that the launcher failed, and signs in all the same [CB-30] [flow.abort]', async () => {
    const child = start({ openBrowser: true }, { env: launcherEnvironment('exit 3') })
    await child.sees(/could not be opened/)
    await signIn(child)
    expect(child.output.split('https://as.example.com').length - 1).toBe(1)
    expect(child.output.split('could not be opened').length - 1).toBe(1)
  })

  onLinux('starts no launcher without a display, and prints the URL [flow.abort]', async () => {
    const { DISPLAY: _x, WAYLAND_DISPLAY: _w, WSL_DISTRO_NAME: _l, ...env } = launcherEnvironment(record)
    const child = start({}, { env })
    await child.sees(/Open this address in a browser to sign in:\n\n {2}https:/)
    await signIn(child)
    expect(existsSync(join(folder, 'argv'))).toBe(false)
  })

  onLinux('is told that there is no launcher [CB-30]', async () => {
    const child = start({ openBrowser: true }, { env: { ...process.env, PATH: folder } })
    await child.sees(/could not be opened/)
    await signIn(child)
  })

  onLinux('does not wait for a launcher that hangs, not even at its exit [CB-30] [receiver.closes]', async () => {
    const env = launcherEnvironment(`${record}; echo $$ > "$d/pid.tmp"; mv "$d/pid.tmp" "$d/pid"; exec sleep 600`)
    const child = start({ openBrowser: true }, { env })
    const pid = Number(await written('pid'))
    try {
      await signIn(child)
    } finally {
      process.kill(pid)
    }
  })

  /** Runs the program on a terminal of its own. */
  const pty = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'
  const hasPython =
    existsSync('/usr/bin/python3') || process.env['PATH']?.split(delimiter).some((p) => existsSync(join(p, 'python3')))

  ;(hasPython ? onLinux : it.skip)(
    'takes a pasted URL on a terminal, and exits [receiver.paste-back] [receiver.closes]',
    async () => {
      const args = ['-c', pty, process.execPath, program, JSON.stringify({ options: { openBrowser: false } })]
      const child = new Program('python3', args)
      programs.push(child)
      const uri = await child.sees(redirectUri)
      child.process.stdin?.write('nonsense\n')
      await child.sees(/not the answer to this sign-in/)
      child.process.stdin?.write(`${uri}?code=pasted&state=${state}\n`)
      expect(await child.sees(/outcome (\S+)/)).toBe(`${uri}?code=pasted&state=${state}`)
      expect(await child.exit).toEqual([0, null])
      expect(child.output).toContain('left []')
    },
  )

  ;(hasPython ? onLinux : it.skip)('is ended by Ctrl-C on a terminal [AB-14]', async () => {
    const args = ['-c', 'import pty, sys; print(pty.spawn(sys.argv[1:]))', process.execPath, program]
    const child = new Program('python3', [...args, JSON.stringify({ options: { openBrowser: false } })])
    programs.push(child)
    await child.sees(redirectUri)
    child.process.stdin?.write('\u0003')
    await child.exit
    expect(child.output).not.toContain('outcome')
    expect(child.output.trim()).toMatch(/\^C2$/)
  })
})

import { EventEmitter } from 'node:events'
import {
  canOpenBrowser,
  launchCommand,
  launchEnvironment,
  openBrowser,
  type LaunchCommand,
  type System,
} from '../../lib/node/browser'

const url = 'https://as.example.com/authorize?a=1&b=2'

/** A system whose launchers are recorded; the spec decides how each ends. */
class RecordingSystem {
  readonly launched: (LaunchCommand & { options: unknown })[] = []
  readonly child: EventEmitter & { unref: jest.Mock } = Object.assign(new EventEmitter(), { unref: jest.fn() })
  readonly system: System

  constructor(platform: NodeJS.Platform, env: System['env'] = {}) {
    const spawn = (file: string, args: readonly string[], options: unknown): unknown => {
      this.launched.push({ file, args, options })
      return this.child
    }
    this.system = { platform, env, spawn: spawn as System['spawn'] }
  }
}

describe('launchCommand(platform, url)', () => {
  it.each<[NodeJS.Platform, System['env'], string, string[]]>([
    ['darwin', {}, 'open', []],
    ['win32', {}, 'C:\\Windows\\System32\\rundll32.exe', ['url.dll,FileProtocolHandler']],
    ['win32', { SystemRoot: 'D:\\Win' }, 'D:\\Win\\System32\\rundll32.exe', ['url.dll,FileProtocolHandler']],
    ['linux', {}, 'xdg-open', []],
    ['linux', { WSL_DISTRO_NAME: 'Debian' }, '/mnt/c/Windows/System32/rundll32.exe', ['url.dll,FileProtocolHandler']],
    ['freebsd', {}, 'xdg-open', []],
  ])('on %s with %j starts %s, the URL as the last argument of its own [AS-14]', (platform, env, file, before) => {
    expect(launchCommand(platform, url, env)).toEqual({ file, args: [...before, url] })
  })
})

describe('canOpenBrowser()', () => {
  it.each<[boolean, NodeJS.Platform, System['env']]>([
    [true, 'darwin', {}],
    [true, 'win32', {}],
    [false, 'linux', {}],
    [false, 'linux', { DISPLAY: '' }],
    [true, 'linux', { DISPLAY: ':0' }],
    [true, 'linux', { WAYLAND_DISPLAY: 'wayland-0' }],
    [true, 'linux', { WSL_DISTRO_NAME: 'Debian' }],
    [false, 'linux', { DISPLAY: ':0', SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }],
    [false, 'darwin', { SSH_TTY: '/dev/ttys001' }],
    [false, 'darwin', { CI: 'true' }],
    [true, 'darwin', { CI: 'false' }],
    [true, 'darwin', { CI: '' }],
  ])('is %s on %s with %j', (expected, platform, env) => {
    expect(canOpenBrowser({ platform, env })).toBe(expected)
  })
})

describe('openBrowser(url)', () => {
  const hostile = 'https://as.example.com/x?a=$(calc)&b=`id`&c=%25USERPROFILE%25&d=1|calc&e=\'";x'

  it.each<NodeJS.Platform>(['linux', 'darwin', 'win32'])(
    'hands shell syntax over as one encoded argument, without a shell, on %s [AS-14] [authz-url.safe-to-open]',
    async (platform) => {
      const { system, launched, child } = new RecordingSystem(platform)
      const opened = openBrowser(hostile, system)
      child.emit('exit', 0)
      await opened
      expect(launched).toHaveLength(1)
      expect(launched[0]?.args.at(-1)).toBe(new URL(hostile).href)
      expect(launched[0]?.args.join(' ')).not.toMatch(/["' <>]{1}[;x]/)
      expect(launched[0]?.options).toMatchObject({ detached: true, stdio: 'ignore', shell: false })
      expect(child.unref).toHaveBeenCalled()
    },
  )

  it.each([
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'file:///etc/passwd',
    'ms-msdt:/id',
    'vscode://x',
    'vbscript:x',
    'search-ms:query=x',
    '--version',
    '-a Calculator',
    'https://user:password@as.example.com/',
    'https://as.example.com/\ncalc',
    'http://as.example.com/authorize',
  ])('starts nothing for %j [AS-10] [AS-11] [AS-12] [AS-13] [AS-15] [authz-url.safe-to-open]', async (forbidden) => {
    const { system, launched } = new RecordingSystem('linux')
    await expect(openBrowser(forbidden, system)).rejects.toMatchObject({ code: 'OAUTH_URL_FORBIDDEN' })
    expect(launched).toEqual([])
  })

  it('rejects when the launcher cannot be started, fails or is killed [CB-30]', async () => {
    for (const [event, value] of [
      ['error', new Error('ENOENT')],
      ['exit', 3],
      ['exit', null],
    ] as const) {
      const { system, child } = new RecordingSystem('linux')
      const opened = openBrowser(url, system)
      child.emit(event, value)
      await expect(opened).rejects.toThrow()
    }
  })
})

describe('launchEnvironment(env)', () => {
  it('keeps what a desktop needs and nothing of the application [SC-09]', () => {
    const desktop = { PATH: '/bin', HOME: '/h', DISPLAY: ':0', XDG_RUNTIME_DIR: '/run', LC_ALL: 'C', SystemRoot: 'C:' }
    const secrets = { CLIENT_SECRET: 's', OAUTH_TOKEN: 't', DATABASE_URL: 'u', NODE_OPTIONS: 'o', PATHOLOGICAL: 'p' }
    expect(launchEnvironment({ ...desktop, ...secrets })).toEqual(desktop)
  })
})

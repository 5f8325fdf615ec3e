import { spawn } from 'node:child_process'
import { checkAuthorizationUrl } from '../protocol/endpoint'

/** What a launch depends on; by default that of this process. */
export interface System {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  readonly spawn: typeof spawn
}

/** A program and its argument vector; never a line for a shell. */
export interface LaunchCommand {
  readonly file: string
  readonly args: readonly string[]
}

function thisSystem(): System {
  return { platform: process.platform, env: process.env, spawn }
}

/**
 * The command that opens a URL in the default browser. On Windows neither `cmd /c start` nor PowerShell, which parse
 * the URL again (CVE-2025-6514 and its kin), and by full path, because Windows looks in the working directory first.
 */
export function launchCommand(platform: NodeJS.Platform, url: string, env: System['env'] = {}): LaunchCommand {
  if (platform === 'darwin') return { file: 'open', args: [url] }
  const handler = ['url.dll,FileProtocolHandler', url]
  if (platform === 'win32') {
    return { file: `${env['SystemRoot'] ?? 'C:\\Windows'}\\System32\\rundll32.exe`, args: handler }
  }
  if (isWsl(platform, env)) return { file: '/mnt/c/Windows/System32/rundll32.exe', args: handler }
  return { file: 'xdg-open', args: [url] }
}

/** Whether a browser that the person at the terminal would see can be expected: not in CI, over SSH, without display. */
export function canOpenBrowser({ platform, env }: Pick<System, 'platform' | 'env'> = thisSystem()): boolean {
  const isSet = (name: string): boolean => (env[name] ?? '') !== ''
  if (isSet('CI') && env['CI'] !== 'false' && env['CI'] !== '0') return false
  if (['SSH_CONNECTION', 'SSH_CLIENT', 'SSH_TTY'].some(isSet)) return false
  if (platform === 'darwin' || platform === 'win32' || isWsl(platform, env)) return true
  return isSet('DISPLAY') || isSet('WAYLAND_DISPLAY')
}

/**
 * Opens the system browser without a shell, and without keeping this process alive. Resolves when the launcher has
 * ended well, and rejects when it could not be started or failed; one that hangs does neither, so nobody waits for it.
 *
 * @throws OAuthAuthorizationError (rejection) `OAUTH_URL_FORBIDDEN` for what is not to be opened
 */
export async function openBrowser(url: string, system: System = thisSystem()): Promise<void> {
  const { file, args } = launchCommand(system.platform, checkAuthorizationUrl(url), system.env)
  const child = system.spawn(file, args, {
    detached: true,
    stdio: 'ignore',
    shell: false,
    env: launchEnvironment(system.env),
  })
  child.unref()
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit code ${code}`))))
  })
}

/** What a desktop needs to find the browser of the person; an application's own variables hold secrets. */
const desktopVariables = new RegExp(
  '^(?:PATH|PATHEXT|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|TEMP|TMP|BROWSER|DISPLAY|XAUTHORITY' +
    '|WAYLAND_DISPLAY|DBUS_SESSION_BUS_ADDRESS|XDG_.*|DESKTOP_SESSION|DE|KDE_.*|GNOME_.*|MATE_.*|SESSION_MANAGER' +
    '|WSL_DISTRO_NAME|WSL_INTEROP|WSLENV|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|USERNAME|USERDOMAIN|USERPROFILE' +
    '|HOMEDRIVE|HOMEPATH|APPDATA|LOCALAPPDATA|PROGRAMDATA|ALLUSERSPROFILE|PUBLIC|PROGRAMFILES.*|COMMONPROGRAM.*)$',
  'i',
)

/** The environment of the launcher: only what finding and starting a browser takes. */
export function launchEnvironment(env: System['env']): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => desktopVariables.test(name)))
}

/** Windows Subsystem for Linux: the browser is on the Windows side. */
function isWsl(platform: NodeJS.Platform, env: System['env']): boolean {
  return platform === 'linux' && (env['WSL_DISTRO_NAME'] ?? '') !== ''
}

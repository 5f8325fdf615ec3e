import type { RedirectOptions } from './redirect-candidates'

/** How {@link loopbackReceiver} listens, opens the browser and talks to the person. */
export interface LoopbackReceiverOptions extends RedirectOptions {
  /**
   * The host name written into the redirect URI, for servers that know only one; the binding is 127.0.0.1 in any case.
   * @default that of a stored registration, else '127.0.0.1'
   */
  readonly host?: '127.0.0.1' | 'localhost'
  /**
   * Ports to try in order, 1 to 65535, for servers that compare the port; the one of a stored registration first.
   * @default that of a stored registration while it is free, else any free port
   */
  readonly ports?: readonly number[]
  /**
   * The path of the redirect URI: begins with one slash, without query, dot segments and characters that need encoding.
   * @default that of a stored registration, else '/callback'
   */
  readonly path?: string
  /**
   * true always asks the system for a browser, false never; a function is called with the URL instead, and may fail.
   * @default the system browser, unless in CI, over SSH or without a display
   */
  readonly openBrowser?: boolean | ((url: string) => void | Promise<void>)
  /** Where the URL is printed. @default process.stderr */
  readonly output?: NodeJS.WritableStream
  /** Where a callback URL may be pasted, if it is a terminal that nobody else reads from. @default process.stdin */
  readonly input?: NodeJS.ReadableStream
}

/** Checks the options and returns a copy; a wrong one is a TypeError that says what was expected and what came. */
export function checkLoopbackOptions(options: LoopbackReceiverOptions): LoopbackReceiverOptions {
  const { host, ports, path, openBrowser, output, input } = options
  expect('host', "'127.0.0.1' or 'localhost'", host, (value) => value === '127.0.0.1' || value === 'localhost')
  expect('ports', 'a non-empty list of integers from 1 to 65535', ports, isPortList)
  expect('path', "a path such as '/callback'", path, isPlainPath)
  expect('openBrowser', 'a boolean or a function', openBrowser, (value) =>
    ['boolean', 'function'].includes(typeof value),
  )
  expect('output', 'a writable stream', output, (value) => hasMethod(value, 'write'))
  expect('input', 'a readable stream', input, (value) => hasMethod(value, 'resume'))
  return { ...options, ...(ports && { ports: [...ports] }) }
}

function expect(name: string, expected: string, value: unknown, isRight: (value: unknown) => boolean): void {
  if (value === undefined || isRight(value)) return
  throw new TypeError(`loopbackReceiver: option ${name} must be ${expected}, but is ${describe(value)}`)
}

function describe(value: unknown): string {
  return (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)).slice(0, 100)
}

function isPortList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isPort)
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535
}

/** A path that every URL parser leaves as it is, so that the browser comes back to exactly this one. */
function isPlainPath(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\/(?!\/)[^?#\\]*$/.test(value)) return false
  return new URL(value, 'http://127.0.0.1').pathname === value
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === 'function'
}

import { canOpenBrowser, openBrowser } from './browser'

/** How a person is brought to the authorization URL. */
export interface Invitation {
  readonly url: string
  /** undefined: the system browser where one can be expected. */
  readonly launcher: boolean | ((url: string) => void | Promise<void>) | undefined
  readonly write: (text: string) => void
  /** Whether it still matters that a launcher failed. */
  readonly isOpen: () => boolean
}

/**
 * Opens the browser, or says where to go; never throws and never waits for a launcher. The URL is printed before the
 * system browser is asked, since a launcher that hangs cannot be told from one that stays in the foreground.
 */
export function invite({ url, launcher, write, isOpen }: Invitation): void {
  if (typeof launcher === 'function') {
    run(launcher, `The browser could not be opened. Open this address to sign in:\n\n  ${url}\n\n`)
  } else if (launcher ?? canOpenBrowser()) {
    write(`Opening the browser to sign in. If it does not open, visit this address:\n\n  ${url}\n\n`)
    run(openBrowser, 'The browser could not be opened: please open the address above.\n')
  } else {
    write(`Open this address in a browser to sign in:\n\n  ${url}\n\n`)
  }

  function run(launch: (url: string) => void | Promise<void>, complaint: string): void {
    const complain = (): void => (isOpen() ? write(complaint) : undefined)
    try {
      Promise.resolve(launch(url)).catch(complain)
    } catch {
      complain() // any launcher, failing in any way: the person can still use the URL
    }
  }
}

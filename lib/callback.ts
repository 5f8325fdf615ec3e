import { withDeadline } from './deadline'
import { isOAuthFlowError, OAuthTokenError } from './errors'

/** A text of the user: given, or asked for each time it is needed. */
export type TextSource<O> = string | ((o: O) => string | Promise<string>)

/**
 * Calls a function of the user, bounded in time. What it throws becomes a retryable `OAUTH_TEMPORARY` of which only name
 * and code of the cause are kept: its message may hold a secret. `name`: the option it came from.
 */
export async function callUser<T>(call: () => T | Promise<T>, o: { name: string; within: number }): Promise<T> {
  try {
    return await withDeadline(call, o.within, `waiting for ${o.name}()`)
  } catch (cause) {
    if (isOAuthFlowError(cause)) throw cause
    throw new OAuthTokenError(`The function \`${o.name}\` failed.`, {
      code: 'OAUTH_TEMPORARY',
      retryable: true,
      hint: 'What it threw is not shown here; catch and log it in the function itself.',
      cause,
    })
  }
}

/** The text of a source. Throws `OAUTH_TOKEN_INVALID` for anything but a text that is not empty. */
export async function textOf<O>(
  source: TextSource<O>,
  o: { readonly name: string; readonly within: number; readonly given: O },
): Promise<string> {
  const text: unknown = typeof source === 'string' ? source : await callUser(() => source(o.given), o)
  if (typeof text === 'string' && text !== '') return text
  throw new OAuthTokenError(`The function \`${o.name}\` gave no text.`, {
    code: 'OAUTH_TOKEN_INVALID',
    hint: 'It must give, or resolve with, a string that is not empty.',
  })
}

/** Makes sure that an option is such a source. Throws a TypeError, which holds nothing of it. */
export function checkTextSource(source: unknown, name: string): void {
  if (typeof source === 'function' || (typeof source === 'string' && source !== '')) return
  throw new TypeError(`axios-oauth2: \`${name}\` must be a string that is not empty, or a function that gives one.`)
}

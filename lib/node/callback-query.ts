/** Far above every authorization code in use (the longest seen are about 4 KB), far below what could hurt. */
const maxQuery = 32 * 1024

/**
 * Reads the query of a callback; undefined when it is too long or is not readable text: broken percent-encoding, bytes
 * that are no UTF-8, NUL. Other control characters stay: they are the flow's to judge, which encodes or escapes them.
 */
export function parseCallbackQuery(query: string): URLSearchParams | undefined {
  if (query.length > maxQuery || !/^[\x21-\x7e]*$/.test(query)) return undefined
  try {
    if (decodeURIComponent(query).includes('\0')) return undefined
  } catch {
    return undefined // URIError: what URLSearchParams would silently replace by U+FFFD
  }
  return new URLSearchParams(query)
}

/** Finds the query in what a person pastes: the whole callback URL, or its query with or without the question mark. */
export function pastedQuery(text: string): string {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const query = isUrl || text.startsWith('?') ? text.slice(text.indexOf('?') + 1) : text
  return query.replace(/#.*$/, '')
}

/** Whether a callback looks like a code was granted; it decides what the page says and nothing else. */
export function looksGranted(parameters: URLSearchParams): boolean {
  return parameters.has('code') && !parameters.has('error')
}

import { createHash } from 'node:crypto'

/** An answer of the loopback receiver: a status and a page that is the same for everybody. */
export interface Page {
  readonly status: number
  readonly html: string
}

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #17191c } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.125rem/1.5 system-ui, sans-serif }
main { max-width: 36rem; margin: 0 auto; padding: 15vh 1.5rem }
h1 { margin: 0 0 .5rem; font-size: 1.75rem; line-height: 1.25 }
p { margin: 0 }
`

/** What the receiver can have to say. */
export type PageName =
  'received' | 'notCompleted' | 'finished' | 'unknown' | 'malformed' | 'notFound' | 'methodNotAllowed' | 'wrongHost'

function page(status: number, title: string, text: string): Page {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${text}</p>
</main>
</body>
</html>
`
  return { status, html }
}

/**
 * Every page of the loopback receiver. Constants: no text of a request can appear on them. They promise nothing about
 * the outcome, since the response is judged only after the browser has been answered.
 */
export const pages: Readonly<Record<PageName, Page>> = {
  received: page(200, 'Response received', 'You can close this tab and return to the application.'),
  notCompleted: page(
    200,
    'Sign-in not completed',
    'You can close this tab and return to the application, which knows more.',
  ),
  finished: page(409, 'Already finished', 'This sign-in has already been answered. You can close this tab.'),
  unknown: page(
    400,
    'No sign-in is waiting for this',
    'This address belongs to no sign-in that is under way. Return to the application and start again from there.',
  ),
  malformed: page(400, 'Address not readable', 'Return to the application and start the sign-in again from there.'),
  notFound: page(404, 'Not found', 'There is nothing at this address.'),
  methodNotAllowed: page(405, 'Method not allowed', 'Only GET is answered here.'),
  wrongHost: page(421, 'Wrong host', 'This server answers only under the name of this machine.'),
}

const styleHash = createHash('sha256').update(style).digest('base64')

/** The headers that go with every page: nothing is loaded, run, framed, cached or told to the next site. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    `default-src 'none'; style-src 'sha256-${styleHash}'; ` +
    `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
}

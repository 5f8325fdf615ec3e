const mark = '[redacted]'

/**
 * Strikes secrets from text of a server, which may echo the request: as they are and as a form, a JSON text or a page
 * would write them. Do this before the text is cut, or the rest of a cut secret stays.
 */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  const spellings = new Set(secrets.filter((secret) => secret !== '').flatMap(spellingsOf))
  // The longest first: a secret may contain another one.
  const ordered = [...spellings].sort((a, b) => b.length - a.length)
  return ordered.reduce((rest, spelling) => rest.replaceAll(spelling, mark), text)
}

function spellingsOf(secret: string): readonly string[] {
  const form = new URLSearchParams([['', secret]]).toString().slice(1)
  const encoded = [form, form.replaceAll('+', '%20'), form.replaceAll('%7E', '~').replaceAll('+', '%20')]
  const lowerCase = encoded.map((text) => text.replace(/%../g, (escape) => escape.toLowerCase()))
  const json = JSON.stringify(secret).slice(1, -1)
  return [secret, ...encoded, ...lowerCase, json, json.replaceAll('/', '\\/'), ...pageSpellings(secret)]
}

function pageSpellings(secret: string): readonly string[] {
  const page = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const quoted = page.replaceAll('"', '&quot;')
  return [page, quoted, quoted.replaceAll("'", '&#39;'), quoted.replaceAll("'", '&#x27;')]
}

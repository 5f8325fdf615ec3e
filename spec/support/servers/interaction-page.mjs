/** The sign-in or consent page that a person sees in a browser: no script, nothing from elsewhere. */
export function interactionPage({ prompt, client, resource, scope = '' }) {
  const [title, question, fields] =
    prompt === 'login'
      ? [
          'Sign in',
          'Any name will do.',
          '<p><label>Name <input type="text" name="account" value="alice" autofocus></label></p>',
        ]
      : ['Allow access?', describeRequest({ client, resource, scope }), '']
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem; color-scheme: light dark }
  button, input { font: inherit; padding: .4rem .8rem }
  form { display: inline-block; margin-right: 1rem }
</style>
<main>
  <h1>${title}</h1>
  <p>${question}</p>
  <form method="post">${fields}<button type="submit">${prompt === 'login' ? 'Sign in' : 'Allow'}</button></form>
  <form method="post"><input type="hidden" name="deny" value="1"><button type="submit">Cancel</button></form>
</main>
</html>
`
}

function describeRequest({ client, resource, scope }) {
  const at = [resource ?? []].flat().map((url) => `<code>${escapeHtml(url)}</code>`)
  const list = scope
    .split(' ')
    .filter(Boolean)
    .map((name) => `<li><code>${escapeHtml(name)}</code></li>`)
  return `<strong>${escapeHtml(client)}</strong> asks for access to ${at.join(', ') || 'this account'}.</p><ul>${list.join('')}</ul><p>`
}

function escapeHtml(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
}

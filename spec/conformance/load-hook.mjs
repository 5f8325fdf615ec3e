import { register } from 'node:module'

// The suite's bundle imports `globSync` from `fs` by name, which Node 20 lacks, for a subcommand that is never used
// here. This hook removes the name from the import, so that the command line starts. Not needed from Node 22 on.
const hooks = `
const bundle = '/@modelcontextprotocol/conformance/dist/index.js'

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context)
  return url.endsWith(bundle) ? { ...result, source: withoutGlobSync(String(result.source)) } : result
}

function withoutGlobSync(source) {
  for (const [statement, names] of source.matchAll(/import\\s*\\{([^}]*)\\}\\s*from\\s*"fs";/g)) {
    const entries = names.split(',').map((entry) => entry.trim())
    const entry = entries.find((candidate) => /^globSync as [\\w$]+$/.test(candidate))
    if (entry === undefined) continue
    const kept = entries.filter((candidate) => candidate !== entry)
    const stub = 'const ' + entry.slice('globSync as '.length) + '=()=>{throw new Error("fs.globSync needs Node 22")};'
    return source.replace(statement, () => 'import{' + kept.join(',') + '}from"fs";' + stub)
  }
  throw new Error('The conformance suite no longer imports globSync from fs: look at load-hook.mjs again')
}
`

register(`data:text/javascript,${encodeURIComponent(hooks)}`)

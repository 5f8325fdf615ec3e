/** Loads the package by `import` or `require` (the argument) where the web's globals are missing, and is silent if it changed nothing. */
import { createRequire } from 'node:module'
import 'axios'

const require = createRequire(import.meta.url)
require('axios')
const load = process.argv[2] === 'require' ? require : (name) => import(name)
for (const name of ['crypto', 'fetch', 'TextEncoder', 'TextDecoder']) {
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true })
}

function snapshot() {
  const objects = { globalThis, Object, Array, Promise, Function, String, Error, URL }
  return Object.entries(objects).flatMap(([label, object]) =>
    [object, object.prototype ?? {}].flatMap((target) =>
      Reflect.ownKeys(target).map((key) => {
        const { value, get, set } = Object.getOwnPropertyDescriptor(target, key)
        return [`${label}.${String(key)}`, value ?? get ?? set]
      }),
    ),
  )
}

const before = snapshot()
await load('axios-oauth2')
const after = snapshot()

const changed = after.filter(
  ([name, value], index) => name !== before[index]?.[0] || !Object.is(value, before[index][1]),
)
if (changed.length > 0 || after.length !== before.length) {
  console.error(`changed: ${changed.map(([name]) => name).join(', ')}`)
  process.exitCode = 1
}

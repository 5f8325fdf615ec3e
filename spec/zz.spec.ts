import { Readable } from 'node:stream'
import { startWorld } from './support/world'
it('x', async () => {
  const world = await startWorld()
  const { api } = world.connect()
  await api.get('')
  world.revokeAccessTokens()
  const e = await api.post('/upload', Readable.from([Buffer.alloc(100)])).catch((c) => c)
  const secrets = world.secrets().filter((s) => s.startsWith('access'))
  const seen = new Set()
  const walk = (v: any, path: string): void => {
    if (typeof v === 'string') { if (secrets.some((s) => v.includes(s))) console.log(path); return }
    if (v === null || (typeof v !== 'object' && typeof v !== 'function') || seen.has(v)) return
    seen.add(v)
    for (const k of Reflect.ownKeys(v)) { let x; try { x = v[k] } catch { continue } walk(x, path + '.' + String(k)) }
    if (v instanceof Map) for (const [k, x] of v) walk(x, path + '<' + String(k) + '>')
  }
  walk(e.response, 'response')
  await world.stop()
})

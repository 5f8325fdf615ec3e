import { classify, type Entry, type Handler, type ServerName } from './entry'
import { startHttpServer } from './http-server'
import type { Script } from './script'
import type { WorldSettings } from './settings'

export interface Servers {
  readonly origin: Readonly<Record<ServerName, string>>
  /** Closes all with their connections. Rejects when something that answers has thrown. */
  stop(): Promise<void>
}

/** evil has another host name, so that what holds for all of one host does not hold for it by accident. */
const hosts = { rs: '127.0.0.1', as: '127.0.0.1', evil: 'localhost' }

/** Starts the three servers, each with its honest handler, under one script. */
export async function startServers(o: {
  readonly settings: Pick<WorldSettings, 'path' | 'issuerPath'>
  readonly script: Script
  readonly record: (entry: Entry) => void
  readonly honest: Readonly<Record<ServerName, Handler>>
}): Promise<Servers> {
  const failures: unknown[] = []
  const start = (name: ServerName): ReturnType<typeof startHttpServer> =>
    startHttpServer({
      name,
      host: hosts[name],
      classify: (url) => classify(url, { ...o.settings, server: name }),
      record: o.record,
      answer: (entry) => o.script.outcome(entry, async () => o.honest[name](entry)),
      failed: (error) => failures.push(error),
    })
  const [rs, as, evil] = await Promise.all([start('rs'), start('as'), start('evil')])
  return {
    origin: { rs: rs.origin, as: as.origin, evil: evil.origin },
    stop: async () => {
      await Promise.all([rs.stop(), as.stop(), evil.stop()])
      if (failures.length > 0) throw failures[0]
    },
  }
}

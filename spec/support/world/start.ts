import { AuthorizationServer } from './authorization-server'
import { createClock } from './clock'
import type { Entry } from './entry'
import { evilAnswer } from './evil-server'
import { ResourceServer } from './resource-server'
import { Script } from './script'
import { Secrets } from './secrets'
import { startServers } from './servers'
import { settingsOf, type WorldOptions } from './settings'
import { TokenBook } from './token-book'
import { World } from './world'

/** Starts the honest world. Stop it with `await world.stop()` in afterEach. */
export async function startWorld(o: WorldOptions = {}): Promise<World> {
  const settings = settingsOf(o)
  const clock = createClock({ standing: settings.clock })
  const secrets = new Secrets()
  const script = new Script()
  const journal: Entry[] = []
  const book = new TokenBook(settings, clock, secrets)
  const authorizationServer = new AuthorizationServer(settings, book)
  const resourceServer = new ResourceServer(settings, book)
  const record = (entry: Entry): void => {
    journal.push(entry)
    secrets.harvest(entry)
  }
  const servers = await startServers({
    settings,
    script,
    record,
    honest: {
      rs: (entry) => {
        const isResource = entry.endpoint === 'api' || entry.endpoint === 'prm' || settings.legacy === undefined
        return isResource ? resourceServer.answer(entry) : authorizationServer.answer(entry)
      },
      as: (entry) => authorizationServer.answer(entry),
      evil: evilAnswer,
    },
  })
  settings.serverUrl = servers.origin.rs + settings.path
  settings.issuer = settings.legacy === undefined ? servers.origin.as + settings.issuerPath : servers.origin.rs
  return new World({ settings, clock, secrets, script, book, authorizationServer, servers, journal })
}

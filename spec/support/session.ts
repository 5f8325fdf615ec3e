import type { AxiosRequestConfig } from 'axios'
import type { Connection, ConnectOptions, World } from './world'

/** A provider with a session whose token the resource has accepted, and a journal that begins after that. */
export async function signedIn(
  world: World,
  o: ConnectOptions = {},
  config: AxiosRequestConfig = {},
): Promise<Connection> {
  const connection = world.connect(o, config)
  await connection.api.get('')
  world.forget()
  return connection
}

/** What a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It was expected to reject and did not.')
}

/** Randomness without jitter: no delay before another try, and renewal windows that begin at the earliest. */
export function steadyRandom(bytes: number): Uint8Array {
  return bytes === 1 ? Uint8Array.of(0) : crypto.getRandomValues(new Uint8Array(bytes))
}

/** The scope of the newest page that the person opened; null when it has none. */
export function scopeAsked({ user }: World): string | null {
  return user.visits.at(-1)?.searchParams.get('scope') ?? null
}

/** The steps at the API, the authorization page and the token endpoint: what discovery adds is left out. */
export function mainSteps(world: World): string[] {
  return world.steps().filter((step) => /^(api|authorize|token) /.test(step))
}

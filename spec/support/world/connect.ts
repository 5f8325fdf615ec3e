import axios, { type AxiosInstance, type CreateAxiosDefaults } from 'axios'
import { oauth, type OAuthClientProvider, type OAuthOptions } from 'axios-oauth2'
import type { Clock } from './clock'
import type { User } from './user'

/** Provider options; `interactive: false` leaves the person out. */
export type ConnectOptions = Partial<OAuthOptions> & { readonly interactive?: boolean }

export interface Connection {
  readonly api: AxiosInstance
  readonly provider: OAuthClientProvider
}

/** What a provider needs to know about the world. */
export interface Surroundings {
  readonly serverUrl: string
  readonly redirectUri: string
  readonly user: User
  /** The clock, where it is the provider's. */
  readonly clock: Clock | undefined
}

/** Marks the result of `optionsIn()`, to which `connectTo()` adds nothing. A symbol survives a spread. */
const complete = Symbol('complete options')

/** The options of a provider in the world, with the person as handlers; a `receiver` takes the person's place. */
export function optionsIn(world: Surroundings, { interactive = true, ...o }: ConnectOptions): OAuthOptions {
  const { serverUrl, clock, redirectUri, user } = world
  const { redirectHandler, callbackHandler } = user
  const own = o.receiver === undefined
  const marked = {
    [complete]: true,
    serverUrl,
    clientMetadata: { client_name: 'Spec', ...(own ? { redirect_uris: [redirectUri] } : {}) },
    ...(interactive && own ? { redirectHandler, callbackHandler } : {}),
    ...(clock === undefined ? {} : { now: clock.now }),
    ...o,
  }
  return marked
}

export function connectTo(world: Surroundings, o: ConnectOptions, config: CreateAxiosDefaults): Connection {
  const api = axios.create({ baseURL: world.serverUrl, proxy: false, ...config })
  return { api, provider: oauth(api, complete in o ? o : optionsIn(world, o)) }
}

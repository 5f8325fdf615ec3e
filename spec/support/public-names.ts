import axios, { AxiosError, getAdapter, type AxiosAdapter, type AxiosResponse } from 'axios'
import type { ConnectOptions, Connection, ServerName, World } from './world'

/** How the servers of a world are called by a client that reaches them over the internet. */
export const names: Readonly<Record<ServerName, string>> = {
  rs: 'https://api.example.com',
  as: 'https://as.example.net',
  evil: 'https://evil.example.org',
}

/** A world under public names: what only https and public addresses allow can be seen. */
export interface PublicWorld {
  readonly serverUrl: string
  /** Every URL that the client asked, in order, whether or not anybody answers there. */
  readonly asked: string[]
  connect(o?: ConnectOptions): Connection
}

/**
 * Puts a network between client and world, in the shape of an axios adapter: it carries requests for the public names to
 * the servers on loopback, and their names back. There is nothing else on this network.
 */
export function underPublicNames(world: World, path = '/mcp'): PublicWorld {
  const asked: string[] = []
  const pairs = (Object.keys(names) as ServerName[]).flatMap((name) => {
    const [far, near] = [names[name], world.origin[name]]
    return [
      [far, near],
      [encodeURIComponent(far), encodeURIComponent(near)],
    ] as const
  })
  const inwards = (text: string): string => pairs.reduce((all, [far, near]) => all.replaceAll(far, near), text)
  const outwards = (text: string): string => pairs.reduce((all, [far, near]) => all.replaceAll(near, far), text)
  const send = getAdapter('http')
  const adapter: AxiosAdapter = async (config) => {
    const url = axios.getUri(config)
    asked.push(url)
    if (!Object.values(names).includes(new URL(url).origin)) throw new AxiosError('unknown host', 'ENOTFOUND', config)
    const { data: body } = config as { data?: unknown }
    const data = typeof body === 'string' ? inwards(body) : body
    const near = {
      ...config,
      url: inwards(url),
      baseURL: '',
      params: {},
      data,
      validateStatus: null,
      proxy: false as const,
    }
    const response = translated(await send(near), outwards)
    Object.assign(response, { config, request: { res: { responseUrl: url } } })
    if (config.validateStatus?.(response.status) !== false) return response
    throw new AxiosError('refused', AxiosError.ERR_BAD_REQUEST, config, response.request, response)
  }
  const serverUrl = names.rs + path
  return {
    serverUrl,
    asked,
    connect: (o = {}) => connectFar(world, { serverUrl, ...throughNetwork(world, o, { inwards, outwards }) }, adapter),
  }
}

function connectFar(world: World, o: ConnectOptions, adapter: AxiosAdapter): Connection {
  return world.connect(o, { baseURL: o.serverUrl ?? '', adapter })
}

/** The person lives near the servers. */
function throughNetwork(
  world: World,
  o: ConnectOptions,
  { inwards, outwards }: Record<'inwards' | 'outwards', (text: string) => string>,
): ConnectOptions {
  const { redirectHandler, callbackHandler } = world.user
  return {
    redirectHandler: (url) => redirectHandler(inwards(url)),
    callbackHandler: async (asking) => outwards(await callbackHandler(asking)),
    ...o,
  }
}

function translated(response: AxiosResponse<unknown>, outwards: (text: string) => string): AxiosResponse<unknown> {
  const { data, headers } = response
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? outwards(value) : value,
  ])
  return {
    ...response,
    data: typeof data === 'string' ? outwards(data) : data,
    headers: axios.AxiosHeaders.from(Object.fromEntries(entries) as Record<string, string>),
  }
}

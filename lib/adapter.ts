import axios, { getAdapter } from 'axios'
import type { AxiosAdapter, AxiosInstance, AxiosRequestConfig, InternalAxiosRequestConfig } from 'axios'
import { Attachment } from './request/attachment'
import { OAuthFlowError } from './errors'
import { Exchange } from './request/exchange'
import { finalUrl } from './request/protected-urls'
import type { OAuthClientProvider } from './provider'
import { redactError, redactResponse } from './request/redact'
import type { ResourceClient } from './request/resource-client'

/** Per request, in axios's config: see `OAuthRequestOptions`. */
export interface OAuthRequestOptions {
  /** Scope this operation needs; more access is asked for first where it is not granted yet. */
  readonly scope?: string
  /** The provider for this request, where many users share one instance. */
  readonly provider?: OAuthClientProvider
}

const decoration = Symbol('axios-oauth2.adapter')

interface DecoratedAdapter extends AxiosAdapter {
  [decoration]?: { readonly client: ResourceClient; readonly original: AxiosRequestConfig['adapter'] }
}

/**
 * Puts one request interceptor and one response interceptor on an instance: the first decorates the request's adapter,
 * whatever it is at that moment; the second redacts what the application is handed. The function returned removes both
 * and rejects what is waiting with `OAUTH_ABORTED`.
 */
export function attach(instance: AxiosInstance, client: ResourceClient): () => void {
  const attachment = new Attachment(instance)
  const onRequest = instance.interceptors.request.use((config) => decorate(config, client, attachment), null, {
    synchronous: true,
    runWhen: (config) => config.oauth !== false,
  })
  const onResponse = instance.interceptors.response.use(redactResponse, (error: Error) =>
    Promise.reject(redactError(error)),
  )
  return () => {
    instance.interceptors.request.eject(onRequest)
    instance.interceptors.response.eject(onResponse)
    attachment.end()
  }
}

/** A config that comes back from a retry carries the decorated adapter; the one beneath is decorated, once. */
function decorate(
  config: InternalAxiosRequestConfig,
  client: ResourceClient,
  attachment: Attachment,
): InternalAxiosRequestConfig {
  const before = decorationOf(config.adapter)
  const original = before !== undefined && before.client === client ? before.original : config.adapter
  const adapter: DecoratedAdapter = (request) => {
    // What the application is handed, and may send again, is its own adapter.
    if (original === undefined) delete request.adapter
    else request.adapter = original
    return authorized(request, client, attachment)
  }
  adapter[decoration] = { client, original }
  config.adapter = adapter
  return config
}

function decorationOf(adapter: AxiosRequestConfig['adapter']): DecoratedAdapter[typeof decoration] {
  return typeof adapter === 'function' ? (adapter as DecoratedAdapter)[decoration] : undefined
}

/** Sends a request with the token if it goes to the resource and the caller has not authorized it in another way. */
function authorized(
  config: InternalAxiosRequestConfig,
  attached: ResourceClient,
  attachment: Attachment,
): ReturnType<AxiosAdapter> {
  const send = getAdapter(config.adapter ?? axios.defaults.adapter, config)
  const { oauth } = config
  const client = (typeof oauth === 'object' ? oauth?.provider?.resourceClient : undefined) ?? attached
  const written = authorizationIn(config.headers)
  if (oauth === false || hasCredentials(config) || (written !== undefined && Boolean(config.headers[written]))) {
    return send(config)
  }
  if (client !== attached) client.carrier = attachment.instance
  const placement = client.urls.place(config)
  if (placement === 'outside') return send(config)
  if (placement === 'userinfo') return Promise.reject(userinfo(config))
  // An empty header is none; in another spelling it would stay beside ours.
  if (written !== undefined) delete config.headers[written]
  const exchange = new Exchange({ client, config, send, attachment })
  const tokens = typeof oauth === 'object' && oauth?.scope !== undefined ? undefined : client.source.usable()
  return tokens !== undefined && isPlainBody(config.data) ? exchange.runAtOnce(tokens) : exchange.run()
}

/** `auth` with a name or password. An empty one is none. */
function hasCredentials({ auth }: InternalAxiosRequestConfig): boolean {
  return auth !== undefined && ((auth.username ?? '') !== '' || (auth.password ?? '') !== '')
}

/** The name, in whatever letter case, under which the caller wrote an `Authorization` header. */
function authorizationIn(headers: InternalAxiosRequestConfig['headers']): string | undefined {
  for (const name of Object.keys(headers)) {
    if (name.length === 13 && name.toLowerCase() === 'authorization') return name
  }
  return undefined
}

/** A body that is sent with equal bytes however often. */
function isPlainBody(data: unknown): boolean {
  return typeof data !== 'object' || data === null || ArrayBuffer.isView(data)
}

function userinfo(config: InternalAxiosRequestConfig): OAuthFlowError {
  return new OAuthFlowError('The URL of the request holds a user name or password, which would replace the token.', {
    code: 'OAUTH_CONFLICT',
    endpoint: finalUrl(config),
    hint: 'Take the user name out of the URL, or set `oauth: false` on the request.',
  })
}

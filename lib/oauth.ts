import type { AxiosInstance } from 'axios'
import type { OAuthOptions } from './options'
import { OAuthClientProvider } from './provider'

/**
 * Makes an axios instance work with an OAuth-protected API or MCP server: discovers the authorization server, registers,
 * signs in, attaches the token, renews it and sends a refused request once more. `serverUrl` defaults to the instance's
 * `baseURL`. Throws a `TypeError` for a wrong option.
 */
export function oauth(instance: AxiosInstance, options: OAuthOptions = {}): OAuthClientProvider {
  if (typeof instance !== 'function' || typeof (instance as Partial<AxiosInstance>).interceptors !== 'object') {
    throw new TypeError('axios-oauth2: oauth() expects an axios instance, such as axios.create({ baseURL }).')
  }
  const { baseURL } = instance.defaults
  const provider = new OAuthClientProvider(
    options.serverUrl === undefined && baseURL !== undefined ? { ...options, serverUrl: baseURL } : options,
  )
  provider.attach(instance)
  return provider
}

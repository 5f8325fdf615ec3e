import type { InternalAxiosRequestConfig } from 'axios'
import { chainRedirects, type BeforeRedirect } from './redirects'
import type { ResourceClient } from './resource-client'
import type { TokenType } from '../token-types/token-type'

const manual = { redirect: 'manual' as const }

/**
 * Makes a config fit to carry a token: the redirect policy is on it, and no empty `auth`, which would replace the token
 * by an empty Basic header. The function returned takes everything off again, the token too, so that the config which
 * the application is handed shows what the application wrote.
 */
export function dress(
  config: InternalAxiosRequestConfig,
  tokenType: TokenType,
  { redirectPolicy }: ResourceClient,
): () => void {
  const { auth, beforeRedirect, fetchOptions, maxRedirects } = config
  if (auth !== undefined) delete config.auth
  const own = beforeRedirect as BeforeRedirect | undefined
  config.beforeRedirect = (own === undefined ? redirectPolicy : chainRedirects(redirectPolicy, own)) as never
  config.fetchOptions = fetchOptions === undefined ? manual : { ...fetchOptions, ...manual }
  if (!tokenType.followsRedirects) config.maxRedirects = 0
  return () => {
    tokenType.withdraw(config)
    if (auth !== undefined) config.auth = auth
    if (beforeRedirect === undefined) delete config.beforeRedirect
    else config.beforeRedirect = beforeRedirect
    if (fetchOptions === undefined) delete config.fetchOptions
    else config.fetchOptions = fetchOptions
    if (tokenType.followsRedirects) return
    if (maxRedirects === undefined) delete config.maxRedirects
    else config.maxRedirects = maxRedirects
  }
}

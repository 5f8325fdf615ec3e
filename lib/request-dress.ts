import type { InternalAxiosRequestConfig } from 'axios'
import { chainRedirects, type BeforeRedirect } from './redirects'
import type { ResourceClient } from './resource-client'

const manual = { redirect: 'manual' as const }

/**
 * Makes a config fit to carry a token: the redirect policy is on it, and no empty `auth`, which would replace the token
 * by an empty Basic header. The function returned takes everything off again, the token too, so that the config which
 * the application is handed shows what the application wrote.
 */
export function dress(config: InternalAxiosRequestConfig, { tokenType, redirectPolicy }: ResourceClient): () => void {
  const { auth, beforeRedirect, fetchOptions } = config
  if (auth !== undefined) delete config.auth
  const own = beforeRedirect as BeforeRedirect | undefined
  config.beforeRedirect = (own === undefined ? redirectPolicy : chainRedirects(redirectPolicy, own)) as never
  config.fetchOptions = fetchOptions === undefined ? manual : { ...fetchOptions, ...manual }
  return () => {
    tokenType.withdraw(config)
    if (auth !== undefined) config.auth = auth
    if (beforeRedirect === undefined) delete config.beforeRedirect
    else config.beforeRedirect = beforeRedirect
    if (fetchOptions === undefined) delete config.fetchOptions
    else config.fetchOptions = fetchOptions
  }
}

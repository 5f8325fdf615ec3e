import type { InternalAxiosRequestConfig } from 'axios'
import { chainRedirects, type BeforeRedirect } from './redirects'
import type { ResourceClient } from './resource-client'

type Members = Pick<InternalAxiosRequestConfig, 'auth' | 'beforeRedirect' | 'fetchOptions'>

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
    restore(config, { auth, beforeRedirect, fetchOptions } as Members)
  }
}

function restore(config: InternalAxiosRequestConfig, members: Members): void {
  const target = config as unknown as Record<string, unknown>
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) delete target[name]
    else target[name] = value
  }
}

import axios, { type AxiosRequestConfig, type AxiosResponse } from 'axios'
import { isOAuthFlowError, oauth, type OAuthClientProvider, type OAuthErrorCode, type OAuthOptions } from 'axios-oauth2'

const api = axios.create({ baseURL: 'https://api.example.com/v1' })
const options: OAuthOptions = { serverUrl: 'https://api.example.com/v1' }
const provider: OAuthClientProvider = oauth(api, options)

export const untouched: Promise<AxiosResponse> = api.get('/items', { oauth: false })
export const stepUp: Promise<AxiosResponse> = api.post('/items', {}, { oauth: { scope: 'items:write' } })
export const otherUser: AxiosRequestConfig = { oauth: { provider } }
// @ts-expect-error -- the option is an object or false
export const wrong: AxiosRequestConfig = { oauth: 'yes' }

api.interceptors.request.use((config) => {
  if (config.oauth !== false && config.oauth?.scope === 'none') delete config.oauth
  return config
})

export function codeOf(error: unknown): OAuthErrorCode | undefined {
  return isOAuthFlowError(error) ? error.code : undefined
}

import type { OAuthRequestOptions } from './adapter'

declare module 'axios' {
  // The parameters are those of axios itself: declarations merge only when they agree.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- axios's own declaration says so
  interface AxiosRequestConfig<D = any, P = any> {
    /** `false` leaves the request alone; an object says what scope it needs or which provider serves it. */
    oauth?: OAuthRequestOptions | false
  }
}

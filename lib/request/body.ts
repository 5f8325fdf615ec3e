import { AxiosHeaders, getAdapter, type InternalAxiosRequestConfig } from 'axios'

/** Whether a request body can be sent a second time. */
export type Replay = 'possible' | 'impossible'

interface FormDataPackage {
  getHeaders(): Record<string, string>
  getBuffer(): Uint8Array
  pipe: unknown
}

/**
 * Makes a body fit to be sent twice with equal bytes, where it can be: forms are fixed to one boundary or taken as bytes.
 * Streams and iterators are consumed by the first sending and cannot.
 */
export async function prepareBody(config: InternalAxiosRequestConfig): Promise<Replay> {
  const data: unknown = config.data
  if (isFormDataPackage(data)) return snapshotFormPackage(config, data)
  if (typeof FormData !== 'undefined' && data instanceof FormData) {
    await fixForm(config, data)
    return 'possible'
  }
  return isOneShot(data) ? 'impossible' : 'possible'
}

/** Whether a body is consumed by being sent: a Node or web stream, an async iterable. */
export function isOneShot(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false
  const { pipe, getReader } = data as { pipe?: unknown; getReader?: unknown }
  return typeof pipe === 'function' || typeof getReader === 'function' || Symbol.asyncIterator in data
}

/** The `form-data` package streams its parts once; without streams inside it can give its bytes. */
function snapshotFormPackage(config: InternalAxiosRequestConfig, form: FormDataPackage): Replay {
  try {
    const bytes = form.getBuffer()
    for (const [name, value] of Object.entries(form.getHeaders())) config.headers.set(name, value)
    config.data = bytes
    return 'possible'
  } catch {
    return 'impossible'
  }
}

function isFormDataPackage(data: unknown): data is FormDataPackage {
  if (typeof data !== 'object' || data === null) return false
  const { getHeaders, getBuffer } = data as Partial<FormDataPackage>
  return typeof getHeaders === 'function' && typeof getBuffer === 'function'
}

/**
 * The http adapter encodes a form anew for every sending, with the boundary of the content type if there is one; fetch
 * chooses a boundary of its own, so the form is encoded here. Another adapter (a mock) is handed the form itself.
 */
async function fixForm(config: InternalAxiosRequestConfig, form: FormData): Promise<void> {
  const adapter = getAdapter(config.adapter)
  if (adapter === getAdapter('http')) {
    const type = AxiosHeaders.from(config.headers).getContentType(/boundary=/i)
    if (type === null) config.headers.setContentType(`multipart/form-data; boundary=${boundary()}`)
  } else if (adapter === getAdapter('fetch')) {
    const encoded = new Response(form)
    config.headers.setContentType(encoded.headers.get('content-type') ?? 'multipart/form-data')
    config.data = new Uint8Array(await encoded.arrayBuffer())
  }
}

function boundary(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `axios-oauth2-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

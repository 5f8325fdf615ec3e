/**
 * Real servers for specs, each a child process on an ephemeral port that ends with the spec that started it.
 *
 *     const stack = await startStack({ authorizationServer: { accessTokenTtl: 2 } })
 *     const api = axios.create({ baseURL: stack.api.urls.api })
 *     oauth(api, { receiver: scriptedReceiver() })
 *     await api.get('/notes')
 *     expect((await stack.authorizationServer.control.counters()).tokenRequests).toEqual({ authorization_code: 1 })
 *     await stack.stop()
 */
export { startServer, startStack } from './launch.mjs'
export type { Control, Counters, Fault, JournalEntry, RunningServer, ServerName, Stack, StackFlags } from './launch.mjs'
export { scriptedReceiver, UserAgent } from './user-agent.mjs'

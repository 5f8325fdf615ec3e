export { loopbackReceiver } from './loopback-receiver'
export type { LoopbackReceiverOptions } from './loopback-options'
export type { AuthorizationReceiver, ReceiverSession } from '../receiver'

export type { CallContext, EndedCall } from './call.js';
export { RpcServer, type Handlers } from './server.js';

export type { CallContext } from './call.js';
export { RpcServer, type EndedCall, type Handlers } from './server.js';

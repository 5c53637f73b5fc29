export type { CallContext } from './call.js';
export { RpcServer, type EndedCall, type Handler, type Handlers, type RpcServerOptions } from './server.js';
export { toStatus } from './status.js';

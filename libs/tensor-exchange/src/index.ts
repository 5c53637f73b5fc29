export { TensorClient, type PullOptions, type TensorClientOptions } from './tensor-client.js';
export { TensorDirectory, type TensorDirectoryOptions } from './tensor-directory.js';
export { startTensorHost, type TensorHost, type TensorHostOptions } from './tensor-host.js';
export { startTensorServer, type TensorServer, type TensorServerOptions } from './tensor-server.js';
export { TensorStore, type TensorSet, type TensorStoreOptions } from './tensor-store.js';

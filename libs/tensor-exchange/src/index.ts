export { KeptTensors } from './kept-tensors.js';
export { TensorClient, type TensorClientOptions } from './tensor-client.js';
export { TensorDirectory } from './tensor-directory.js';
export { startTensorHost, type TensorHostOptions } from './tensor-host.js';

export { KeptTensors, type KeptTensorsOptions } from './kept-tensors.js';
export { TensorClient, type TensorClientOptions } from './tensor-client.js';
export { TensorDirectory, type TensorDirectoryOptions } from './tensor-directory.js';
export { startTensorHost, type TensorHost, type TensorHostOptions } from './tensor-host.js';

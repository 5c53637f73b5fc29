export { KeptTensors } from './kept-tensors.js';
export { TensorClient } from './tensor-client.js';
export { TensorDirectory } from './tensor-directory.js';
export { startTensorHost } from './tensor-host.js';

// @ts-check
/**
 * A device as ONNX Runtime is asked for it. What a GPU has no kernel for runs on the CPU.
 * @param {import('./device.js').Device} device
 * @returns {import('onnxruntime-node').InferenceSession.ExecutionProviderConfig[]}
 */
export function executionProviders(device) {
  return device.provider === 'cpu' ? ['cpu'] : [{ name: 'cuda', deviceId: device.index }, 'cpu'];
}

// @ts-check
// The thread in which a device is tried out. It is JavaScript for the reason that session-worker.js is.
import { parentPort, workerData } from 'node:worker_threads';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { executionProviders } from './execution-providers.js';

/** A graph of one node: `y = -x`, both float32[1] (opset 13). */
const PROBE = Buffer.from(
  'CAgSADo2CgsKAXgSAXkiA05lZxIFcHJvYmVaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAN',
  'base64',
);

// What goes wrong is told to whoever asked; nothing but the service's logger writes to the log.
env.logLevel = 'fatal';
try {
  const session = await InferenceSession.create(PROBE, { executionProviders: executionProviders(workerData) });
  const { y } = await session.run({ x: new Tensor('float32', [3], [1]) });
  await session.release();
  parentPort?.postMessage(y?.data[0] === -3 ? undefined : 'it computes something wrong');
} catch (error) {
  parentPort?.postMessage(error instanceof Error ? error.message : String(error));
}

// @ts-check
// The thread in which graphs are loaded and run: both block the thread they are called from. It is JavaScript, so that
// it starts from the sources as well as from the build.
import { MessageChannel, parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { executionProviders } from './execution-providers.js';

/**
 * @import { Tensor as PlainTensor } from '@segue/tensors'
 * @import { Declared, GraphIo, Reply, Request, ThreadData } from './protocol.js'
 */

/** @type {Map<string, { session: InferenceSession, outputs: readonly string[] }>} */
const loaded = new Map();
/** What is handed over to a port whose other end is closed is freed at once, see `releaseMemory` of `@segue/tensors`. */
const { port1: nowhere, port2: end } = new MessageChannel();
end.close();
/** Whether the owner has no more use for this thread: what is not loaded yet stays where it is. */
let closing = false;

/** @param {ThreadData} data */
async function load({ graphs, threads, prepack, device, exactProducts }) {
  for (const [graph, { path, outputs }] of Object.entries(graphs)) {
    if (closing) return;
    try {
      const session = await InferenceSession.create(path, {
        executionProviders: executionProviders(device),
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        // Errors are thrown; nothing but the service's logger writes to the log.
        logSeverityLevel: 4,
        extra: {
          session: {
            // A spinning thread would take the core that another stage needs.
            intra_op: { allow_spinning: '0' },
            disable_prepacking: prepack ? '0' : '1',
            x64quantprecision: exactProducts ? '0' : '1',
          },
        },
      });
      loaded.set(graph, { session, outputs });
    } catch (error) {
      return reply({ type: 'unusable', graph, error });
    }
  }
  const graphIo = [...loaded].map(([graph, { session }]) => [graph, describe(session)]);
  reply({ type: 'ready', graphs: Object.fromEntries(graphIo) });
}

/**
 * @param {InferenceSession} session
 * @returns {GraphIo}
 */
function describe(session) {
  /** @type {(value: InferenceSession.ValueMetadata) => Declared} */
  const declared = (value) =>
    value.isTensor
      ? { name: value.name, dtype: value.type, shape: value.shape }
      : { name: value.name, dtype: 'not a tensor', shape: [] };
  return { inputs: session.inputMetadata.map(declared), outputs: session.outputMetadata.map(declared) };
}

/** @param {Request & { type: 'run' }} request */
async function run({ graph, feeds, lend }) {
  try {
    const entry = loaded.get(graph);
    if (!entry) throw new Error(`graph ${graph} is not loaded`);
    const inputs = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
      name,
      new Tensor(dtype, data, shape),
    ]);
    const results = await entry.session.run(Object.fromEntries(inputs), entry.outputs);
    /** @type {Record<string, PlainTensor>} */
    const fetches = {};
    for (const [name, { type, dims, data }] of Object.entries(results)) {
      fetches[name] = /** @type {PlainTensor} */ ({ dtype: type, shape: dims, data });
    }
    for (const name of lend) if (feeds[name]) fetches[name] = feeds[name];
    const buffers = Object.values(fetches).map(({ data }) => /** @type {ArrayBuffer} */ (data.buffer));
    reply({ type: 'done', fetches }, [...new Set(buffers)]);
  } catch (error) {
    reply({ type: 'failed', error });
  } finally {
    // What was lent went back and is detached here.
    for (const { data } of Object.values(feeds))
      nowhere.postMessage(undefined, [/** @type {ArrayBuffer} */ (data.buffer)]);
  }
}

async function close() {
  for (const { session } of loaded.values()) await session.release();
  parentPort?.close();
}

/**
 * @param {Reply} message
 * @param {ArrayBuffer[]} [transfer]
 */
function reply(message, transfer) {
  parentPort?.postMessage(message, transfer);
}

let last = load(workerData);
parentPort?.on('message', (/** @type {Request} */ request) => {
  if (request.type === 'close') closing = true;
  last = last.then(() => (request.type === 'run' ? run(request) : close()));
});

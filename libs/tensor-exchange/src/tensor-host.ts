import type { ServerCredentials } from '@grpc/grpc-js';
import { hostPort } from '@segue/core';
import type { TensorSet } from '@segue/stages';

import type { TensorDirectory } from './tensor-directory.js';
import { startTensorServer } from './tensor-server.js';
import { TensorStore } from './tensor-store.js';

export interface TensorHostOptions {
  readonly directory: TensorDirectory;
  readonly maxBytes: number;
  /** Address to listen on. */
  readonly listenHost: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Host under which other workers reach this one. */
  readonly host: string;
  /** Without TLS unless given. */
  readonly credentials?: ServerCredentials | undefined;
  readonly onError: (error: unknown) => void;
}

/** A worker's own tensors, for others to pull: what it holds is listed in the directory exactly as long as it holds it. */
export interface TensorHost {
  /** `host:port` */
  readonly owner: string;
  /** Bytes held. */
  readonly bytes: number;
  put(key: string, tensors: TensorSet): Promise<void>;
  get(key: string): TensorSet | undefined;
  /** Takes its entries out of the directory, lets pulls end for `graceMs`, then stops serving. */
  close(options: { readonly graceMs: number }): Promise<void>;
}

export async function startTensorHost(options: TensorHostOptions): Promise<TensorHost> {
  const { credentials, directory, maxBytes, listenHost, host, onError } = options;
  const store = new TensorStore({
    maxBytes,
    onEvicted: (key) => void directory.drop(key, owner).catch(onError),
  });
  const server = await startTensorServer(store, { host: listenHost, port: options.port, credentials, onError });
  const owner = hostPort(host, server.port);
  const pulse = await directory.keepAlive(owner, () => store.keys());
  return {
    owner,
    get bytes() {
      return store.bytes;
    },
    async put(key, tensors) {
      if (!store.put(key, tensors))
        throw new RangeError(`the tensors of one picture do not fit into ${maxBytes} bytes`);
      await directory.publish(key, owner);
    },
    get: (key) => store.get(key),
    async close({ graceMs }) {
      await pulse.stop();
      await server.close({ graceMs });
      store.clear();
    },
  };
}

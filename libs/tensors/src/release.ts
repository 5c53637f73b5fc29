import { MessageChannel } from 'node:worker_threads';

/** Smaller buffers are not worth a message; also, some of them share their memory with others. */
const WORTH_BYTES = 64 * 1024;

/** What is handed over to a port whose other end is closed is freed at once. */
const { port1: nowhere, port2: end } = new MessageChannel();
end.close();

/**
 * Frees the memory of large data that nobody reads any more; the array is empty afterwards. The garbage collector would
 * do it too, but dearly: V8 marks the whole heap after every 64 MiB of new array buffers, which takes the better part of
 * 100 ms in a process of the usual size, and a question moves some 50 MiB of tensors.
 * @param data owns its whole buffer; a view on a part is left alone.
 */
export function releaseMemory({ buffer, byteLength }: ArrayBufferView): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== byteLength || byteLength < WORTH_BYTES) return;
  nowhere.postMessage(undefined, [buffer]);
}

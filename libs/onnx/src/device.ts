import { Worker } from 'node:worker_threads';
import { SegueError } from '@segue/core';

/** What graphs run on. */
export type Device = { readonly provider: 'cpu' } | { readonly provider: 'cuda'; readonly index: number };

export const CPU: Device = { provider: 'cpu' };

/** A device by its name, `cuda` for the first GPU; `auto` for a GPU that can be used, else the CPU. */
export const DEVICE_PATTERN = /^(?:auto|cpu|cuda(?::\d{1,3})?)$/;

export interface ChosenDevice {
  readonly device: Device;
  /** Why the GPU that was looked for is not used. */
  readonly fallback?: string;
}

/** Tries a device out. @returns why it cannot be used; nothing when it can. */
export type TryDevice = (device: Device) => Promise<string | undefined>;

/**
 * Chooses the device that a setting stands for. ONNX Runtime for Node refuses to load a graph when a provider that was asked for
 * is missing, so that the choice is made before.
 * @param setting matches `DEVICE_PATTERN`.
 * @throws SegueError INTERNAL when a GPU was asked for by name and cannot be used.
 */
export async function chooseDevice(setting: string, tryDevice: TryDevice = tryInThread): Promise<ChosenDevice> {
  if (setting === 'cpu') return { device: CPU };
  const device: Device = { provider: 'cuda', index: Number(setting.split(':')[1] ?? 0) };
  const problem = await tryDevice(device);
  if (problem === undefined) return { device };
  if (setting === 'auto') return { device: CPU, fallback: problem };
  throw new SegueError(
    'INTERNAL',
    `The GPU ${deviceName(device)} cannot be used: ${problem}. ` +
      'See docs/guides/gpu.md for what it needs, or set SEGUE_DEVICE to "auto" or "cpu".',
  );
}

/** `cpu`, `cuda:0` */
export function deviceName(device: Device): string {
  return device.provider === 'cpu' ? device.provider : `${device.provider}:${device.index}`;
}

/** Runs a graph of one node there, in a thread of its own: loading a provider blocks, and its memory goes with the thread. */
async function tryInThread(device: Device): Promise<string | undefined> {
  const thread = new Worker(new URL('./device-worker.js', import.meta.url), { workerData: device, execArgv: [] });
  return new Promise((resolve) => {
    thread.once('message', (problem: string | undefined) => resolve(problem));
    thread.once('error', (error) => resolve(error.message));
    thread.once('exit', (status) => resolve(`trying it out ended with status ${status}`));
  });
}

import type { RunLengthMask } from '@segue/core/mask';
import type { TaskInput, TaskName, TaskOutput, TaskReply, TaskRequest } from './tasks.js';

/** Masks are decoded and painted in a thread of their own: the page stays smooth whatever their size. */
const worker = new Worker(new URL('./mask.worker.ts', import.meta.url), { type: 'module' });
const waiting = new Map<number, (reply: TaskReply) => void>();
let lastId = 0;

worker.addEventListener('message', ({ data }: MessageEvent<TaskReply>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
});

export function runTask<N extends TaskName>(name: N, input: TaskInput<N>): Promise<TaskOutput<N>> {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    waiting.set(id, (reply) =>
      'output' in reply ? resolve(reply.output as TaskOutput<N>) : reject(new Error(reply.error)),
    );
    worker.postMessage({ id, name, input } satisfies TaskRequest<N>);
  });
}

/** A mask as the page shows it. */
export interface PaintedMask {
  readonly bitmap: ImageBitmap;
  /** Whether a point (0..1 of width and height) lies in the mask. */
  contains(x: number, y: number): boolean;
}

export async function paintMask(mask: RunLengthMask, colour: string): Promise<PaintedMask> {
  const { bitmap, ends } = await runTask('paint', { mask, colour });
  const [height, width] = mask.size;
  const contains = (x: number, y: number): boolean => {
    if (x < 0 || x >= 1 || y < 0 || y >= 1) return false;
    // Runs go down the columns; every second one is inside.
    return runAt(ends, Math.floor(x * width) * height + Math.floor(y * height)) % 2 === 1;
  };
  return { bitmap, contains };
}

/** Index of the run that holds a position. */
function runAt(ends: Float64Array, position: number): number {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

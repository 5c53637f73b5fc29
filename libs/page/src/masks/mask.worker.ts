import { decodeMask, maskRuns, type RunLengthMask } from '@segue/core/mask';
import type { ColouredMask, MaskTasks, TaskReply, TaskRequest } from './tasks.js';

/** Longest side of a mask on the screen in pixels; the browser scales it to the picture. */
const SCREEN_SIDE = 2048;
/** Of a mask inside its outline, which is opaque. */
const INSIDE_ALPHA = 110;

/** The one thing of a worker's global scope that the types of a page lack. */
const scope = self as unknown as { postMessage(message: TaskReply, transfer: Transferable[]): void };

type Running = { [N in keyof MaskTasks]: (input: never) => Promise<ReturnType<MaskTasks[N]>> };

const tasks: Running = {
  async paint({ mask, colour }: ColouredMask) {
    const canvas = paint(mask, colour, SCREEN_SIDE);
    let end = 0;
    const ends = Float64Array.from(maskRuns(mask), (run) => (end += run));
    return { bitmap: canvas.transferToImageBitmap(), ends };
  },
  async overlay({ picture, masks }: { picture: Blob; masks: readonly ColouredMask[] }) {
    const { canvas, context } = await pictureCanvas(picture);
    for (const { mask, colour } of masks) context.drawImage(paint(mask, colour), 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob({ type: 'image/png' });
  },
  async cutOut({ picture, masks }: { picture: Blob; masks: readonly RunLengthMask[] }) {
    const { canvas, context } = await pictureCanvas(picture);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    const inside = together(masks);
    for (let i = 0; i < inside.length; i++) if (inside[i] === 0) image.data[4 * i + 3] = 0;
    context.putImageData(image, 0, 0);
    return canvas.convertToBlob({ type: 'image/png' });
  },
  async maskPng({ masks }: { masks: readonly RunLengthMask[] }) {
    const [height, width] = masks[0]?.size ?? [1, 1];
    const { canvas, context } = newCanvas(width, height);
    const image = context.createImageData(width, height);
    const inside = together(masks);
    for (let i = 0; i < inside.length; i++) image.data.fill(inside[i] === 0 ? 0 : 255, 4 * i, 4 * i + 3);
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    context.putImageData(image, 0, 0);
    return canvas.convertToBlob({ type: 'image/png' });
  },
};

self.addEventListener('message', (event: MessageEvent<TaskRequest>) => {
  const { id, name, input } = event.data;
  tasks[name](input as never).then(
    (output) => scope.postMessage({ id, output }, 'bitmap' in output ? [output.bitmap, output.ends.buffer] : []),
    (error: unknown) => scope.postMessage({ id, error: String(error) }, []),
  );
});

/** @param longest side in pixels; the mask's own size unless given. */
function paint(mask: RunLengthMask, colour: string, longest = Infinity): OffscreenCanvas {
  const [height, width] = mask.size;
  const scale = Math.min(1, longest / Math.max(height, width));
  const { canvas, context } = newCanvas(
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
  );
  const pixels = decodeMask(mask);
  const columns = Uint32Array.from({ length: canvas.width }, (_, x) => Math.floor(((x + 0.5) * width) / canvas.width));
  const rows = Uint32Array.from({ length: canvas.height }, (_, y) => Math.floor(((y + 0.5) * height) / canvas.height));
  const inside = (x: number, y: number): boolean => pixels[(rows[y] ?? -1) * width + (columns[x] ?? -1)] === 1;
  const onEdge = (x: number, y: number): boolean =>
    x < 2 || y < 2 || !inside(x - 2, y) || !inside(x, y - 2) || x + 2 >= canvas.width || y + 2 >= canvas.height
      ? true
      : !inside(x + 2, y) || !inside(x, y + 2);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      if (!inside(x, y)) continue;
      const at = 4 * (y * canvas.width + x);
      image.data[at] = red ?? 0;
      image.data[at + 1] = green ?? 0;
      image.data[at + 2] = blue ?? 0;
      image.data[at + 3] = onEdge(x, y) ? 255 : INSIDE_ALPHA;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Row-major, 1 where any of the masks is. */
function together(masks: readonly RunLengthMask[]): Uint8Array {
  const [first, ...others] = masks.map(decodeMask);
  if (!first) return new Uint8Array();
  for (const other of others) for (let i = 0; i < first.length; i++) first[i] = (first[i] ?? 0) | (other[i] ?? 0);
  return first;
}

async function pictureCanvas(picture: Blob): Promise<ReturnType<typeof newCanvas>> {
  const bitmap = await createImageBitmap(picture);
  const made = newCanvas(bitmap.width, bitmap.height);
  made.context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return made;
}

function newCanvas(
  width: number,
  height: number,
): { readonly canvas: OffscreenCanvas; readonly context: OffscreenCanvasRenderingContext2D } {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('the browser has no canvas of this size');
  return { canvas, context };
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { maskToPolygon, type Answer } from '@segue/client';
import { toCoco, type Answered } from './coco.js';
import type { Format } from './formats.js';

/** An answer as one line of JSON: masks as RLE, as polygons, or as base64 PNGs. */
export async function toLine(photo: string, question: string, answer: Answer, format: Format): Promise<string> {
  const segments = await Promise.all(
    answer.segments.map(async ({ mask, ...segment }) => {
      if (format === 'polygon') return { ...segment, mask: { size: mask.size, polygon: maskToPolygon(mask) } };
      if (format !== 'png') return { ...segment, mask };
      const { maskToPng } = await import('@segue/imaging');
      return { ...segment, mask: { size: mask.size, png: (await maskToPng(mask)).toString('base64') } };
    }),
  );
  return `${JSON.stringify({ photo, question, ...answer, segments })}\n`;
}

/**
 * Writes what was answered into a folder: `NAME.overlay.png`, and the masks as `NAME.json` (`rle`, `polygon`) or
 * `NAME.1.png` (`png`).
 */
export async function writeAnswer(
  folder: string,
  stem: string,
  picture: Uint8Array,
  { photo, question, answer }: Answered,
  format: Format,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { maskToPng, renderOverlay } = await import('@segue/imaging');
  const overlay = await renderOverlay(picture, answer.segments, { text: answer.text });
  await writeFile(join(folder, `${stem}.overlay.png`), overlay);
  if (format === 'png') {
    for (const { index, mask } of answer.segments) {
      await writeFile(join(folder, `${stem}.${index + 1}.png`), await maskToPng(mask));
    }
  } else if (format !== 'coco') {
    await writeFile(join(folder, `${stem}.json`), await toLine(photo, question, answer, format));
  }
}

/** Writes all answers as one `coco.json`. */
export async function writeCoco(folder: string, answered: readonly Answered[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'coco.json'), JSON.stringify(toCoco(answered)));
}

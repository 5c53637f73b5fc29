import { decodeMask, type Segment } from '@segue/core';
import { z } from 'zod';

/** What CVAT sends to a detector that runs as a Nuclio function, and which labels to look for. */
export const DetectRequestSchema = z.object({
  image: z.string().describe('Base64.'),
  threshold: z.number().min(0).max(1).nullish(),
  labels: z.array(z.string().min(1)).optional(),
});

/** A shape as CVAT takes it from a detector: a mask, and the outline for those who want polygons. */
export function toShape(label: string, { mask, box, score }: Segment, ring: readonly number[]) {
  const [x, y, width, height] = box;
  const pixels = decodeMask(mask);
  const columns = mask.size[1];
  const crop: number[] = [];
  for (let row = y; row < y + height; row++) {
    crop.push(...pixels.subarray(row * columns + x, row * columns + x + width));
  }
  return {
    confidence: String(score),
    label,
    type: 'mask',
    points: [...ring],
    // The crop's pixels, then its first and last column and row.
    mask: [...crop, x, y, x + width - 1, y + height - 1],
  };
}

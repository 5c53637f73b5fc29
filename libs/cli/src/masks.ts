import { decodeMask, type Answer } from '@segue/client';

/** What is wrong with an answer's masks: there is one for each `<SEG>`, and it holds as many pixels as it says. */
export function firstWrongMask({ segments, text, finishReason }: Answer): string | undefined {
  const marks = text.split('<SEG>').length - 1;
  if (finishReason !== 'mask_only' && segments.length !== marks) return `${segments.length} masks for ${marks} <SEG>`;
  for (const { phrase, mask, area } of segments) {
    const pixels = decodeMask(mask).reduce((sum: number, pixel) => sum + pixel, 0);
    if (pixels !== area) return `the mask of "${phrase}" has ${pixels} pixels, not ${area}`;
  }
  return undefined;
}

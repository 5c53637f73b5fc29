import type { RunLengthMask } from '@segue/core';
import { maskToPng } from './mask-png.js';
import { maskToOutline } from './outline.js';
import { renderOverlay, type OverlaySegment } from './overlay.js';
import type { PictureLimits } from './picture.js';

/*
 * What runs in the threads of a `Renderer`, by the names that it calls.
 */

export interface OverlayTask {
  readonly picture: Uint8Array;
  readonly segments: readonly OverlaySegment[];
  readonly text: string;
  readonly limits: PictureLimits;
}

export function png(mask: RunLengthMask): Promise<Uint8Array> {
  return maskToPng(mask);
}

export function polygon({ mask, tolerance }: { readonly mask: RunLengthMask; readonly tolerance: number }): number[][] {
  return maskToOutline(mask, { tolerance });
}

export function overlay({ picture, segments, text, limits }: OverlayTask): Promise<Uint8Array> {
  return renderOverlay(picture, segments, { text, limits });
}

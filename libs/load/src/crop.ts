import { randomLcg, randomUniform } from 'd3-random';

/** Part of a photo, and the longest side in pixels that it is brought to. */
export interface Crop {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly longest: number;
}

/** How much of the photo's sides a crop shows. */
const SHOWN = [0.75, 1] as const;
/** Longest side of a crop in pixels: from below to above what the encoder takes. */
const LONGEST = [480, 800] as const;

/** A crop of a photo of this size in pixels: the same for the same seed, another one for another. */
export function cropOf({ width, height }: Pick<Crop, 'width' | 'height'>, seed: number): Crop {
  const source = randomLcg(seed / 2 ** 16);
  const uniform = (from: number, to: number) => randomUniform.source(source)(from, to)();
  const part = uniform(...SHOWN);
  const size = { width: Math.round(width * part), height: Math.round(height * part) };
  const left = Math.floor(uniform(0, width - size.width));
  const top = Math.floor(uniform(0, height - size.height));
  return { ...size, left, top, longest: Math.round(uniform(...LONGEST)) };
}

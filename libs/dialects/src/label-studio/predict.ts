import type { Answer, Segment } from '@segue/core';
import { z } from 'zod';
import type { LabelConfig } from './label-config.js';
import { toBrush } from './brush.js';

/** The body of `POST /predict`, as far as it says something here. https://labelstud.io/guide/ml_create */
export const PredictRequestSchema = z.object({
  tasks: z.array(z.object({ id: z.int().optional(), data: z.record(z.string(), z.unknown()) })),
  label_config: z.string(),
  params: z
    .object({
      context: z.object({ result: z.array(z.looseObject({ value: z.record(z.string(), z.unknown()) })) }).nullish(),
    })
    .nullish(),
});
export type PredictRequest = z.infer<typeof PredictRequestSchema>;

/** A question about a task's picture, and the label that its masks get. */
export interface LabelQuestion {
  readonly instruction: string;
  readonly label: string;
}

/**
 * What to ask: the words that somebody typed or the label that somebody holds, else each label of the project.
 * @param context of an interactive request.
 */
export function questionsOf({ labels }: LabelConfig, { params }: PredictRequest): LabelQuestion[] {
  const values = (params?.context?.result ?? []).map(({ value }) => value);
  const typed = values.flatMap(({ text }) => strings(text)).at(-1);
  const held = values
    .flatMap((value) => Object.entries(value).flatMap(([key, v]) => (/labels$/.test(key) ? strings(v) : [])))
    .at(-1);
  const label = held ?? labels[0] ?? '';
  if (typed !== undefined) return [{ instruction: typed, label }];
  return (held === undefined ? labels : [held]).map((name) => ({ instruction: `Segment the ${name}.`, label: name }));
}

function strings(value: unknown): string[] {
  return [value].flat().filter((item): item is string => typeof item === 'string' && item.trim() !== '');
}

/** A mask under its label. Rings x0, y0, x1, y1, ... in pixels where the project wants polygons. */
export interface LabelledSegment {
  readonly label: string;
  readonly segment: Segment;
  readonly rings?: readonly (readonly number[])[];
}

/** One task's prediction. */
export function toPrediction(config: LabelConfig, segments: readonly LabelledSegment[], model: Answer['model']) {
  const scores = segments.map(({ segment }) => segment.score);
  return {
    model_version: model,
    score: scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + score, 0) / scores.length,
    result: segments.flatMap((labelled, index) => regionsOf(config, labelled, index)),
  };
}

function regionsOf(
  { kind, fromName, toName }: LabelConfig,
  { label, segment, rings = [] }: LabelledSegment,
  index: number,
) {
  const [height, width] = segment.mask.size;
  const region = (part: number, value: object) => ({
    id: `segue-${index}-${part}`,
    from_name: fromName,
    to_name: toName,
    type: `${kind}labels`,
    original_width: width,
    original_height: height,
    image_rotation: 0,
    score: segment.score,
    value: { ...value, [`${kind}labels`]: [label] },
  });
  if (segment.area === 0) return [];
  if (kind === 'brush') return [region(0, { format: 'rle', rle: toBrush(segment.mask) })];
  return rings.map((ring, part) => region(part, { points: toPercent(ring, width, height), closed: true }));
}

function toPercent(ring: readonly number[], width: number, height: number): [number, number][] {
  return ring.flatMap((x, at): [number, number][] =>
    at % 2 === 0 ? [[(100 * x) / width, (100 * (ring[at + 1] ?? 0)) / height]] : [],
  );
}

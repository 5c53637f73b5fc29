import { SegueError, type Segment } from '@segue/core';
import type { AskedPicture, LabelQuestion } from '@segue/dialects';
import { signedArea } from '@segue/imaging';
import { commandOfAsked } from '../segmentation/command.js';
import type { Caller, SegmentationService } from '../segmentation/segmentation.service.js';

/** More labels than these are more questions than one call should ask. */
const MAX_QUESTIONS = 32;
/** Pixels that an outline may run beside its mask: people are to move its points. */
const TOLERANCE = 1.5;
/** Share of the largest part's area. */
const CRUMB = 0.01;

export interface Labelled {
  readonly model: string;
  readonly segments: readonly { readonly label: string; readonly segment: Segment }[];
}

/** Asks the questions one after another; all but the first find the picture encoded. @throws SegueError */
export async function askForEach(
  service: SegmentationService,
  picture: AskedPicture,
  questions: readonly LabelQuestion[],
  caller: Caller,
): Promise<Labelled> {
  if (questions.length > MAX_QUESTIONS) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `More than ${MAX_QUESTIONS} labels are too many for one call. Name fewer.`,
    );
  }
  let [model, known] = ['', picture];
  const segments: { label: string; segment: Segment }[] = [];
  for (const { label, instruction } of questions) {
    const answer = await service.segment(commandOfAsked({ picture: known, instruction }, {}), caller);
    [model, known] = [answer.model, { imageId: answer.imageId }];
    for (const segment of answer.segments) segments.push({ label, segment });
  }
  return { model, segments };
}

/**
 * Rings x0, y0, x1, y1, ... in pixels that people can edit, the largest first. Crumbs beside it are left out: each would be a
 * shape of its own, which nobody drew and somebody had to delete.
 */
export async function outlinesOf(
  service: SegmentationService,
  { mask }: Segment,
): Promise<readonly (readonly number[])[]> {
  const encoded = await service.maskEncoder({ maskFormat: 'polygon', polygonTolerance: TOLERANCE })(mask);
  if (encoded.format !== 'polygon') return [];
  const rings = encoded.rings.map((ring) => ({ ring, area: areaOf(ring) })).toSorted((a, b) => b.area - a.area);
  const [largest] = rings;
  return rings.filter(({ area }) => area >= CRUMB * (largest?.area ?? 0)).map(({ ring }) => ring);
}

function areaOf(ring: readonly number[]): number {
  const points = Array.from({ length: ring.length / 2 }, (_, at) => ({
    x: ring[2 * at] ?? 0,
    y: ring[2 * at + 1] ?? 0,
  }));
  return Math.abs(signedArea(points)) / 2;
}

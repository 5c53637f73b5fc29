import type { Segment } from '../service/bodies.js';

/** A picture and the segments that were found in it. */
export interface Annotated {
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  readonly segments: readonly Segment[];
}

/** The COCO format (cocodataset.org, object detection), masks as compressed run lengths, a category for each phrase. */
export function toCoco(pictures: readonly Annotated[]) {
  const names = [...new Set(pictures.flatMap(({ segments }) => segments.map(categoryOf)))];
  let annotationId = 0;
  return {
    images: pictures.map(({ fileName, width, height }, position) => ({
      id: position + 1,
      file_name: fileName,
      width,
      height,
    })),
    categories: names.map((name, position) => ({ id: position + 1, name })),
    annotations: pictures.flatMap(({ segments }, position) =>
      segments.map((segment) => ({
        id: ++annotationId,
        image_id: position + 1,
        category_id: names.indexOf(categoryOf(segment)) + 1,
        segmentation: segment.mask,
        bbox: segment.box,
        area: segment.area,
        iscrowd: 0,
        score: segment.score,
      })),
    ),
  };
}

function categoryOf({ phrase }: Segment): string {
  return phrase.replace(/^(?:the|an?) /i, '').trim() || 'thing';
}

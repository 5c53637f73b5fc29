import type { Answer } from '@segue/client';

/** A picture and what was answered about it. */
export interface Answered {
  readonly photo: string;
  readonly width: number;
  readonly height: number;
  readonly question: string;
  readonly answer: Answer;
}

/** COCO's object detection format; `pycocotools.coco.COCO` reads it. A category is a phrase. */
export function toCoco(answered: readonly Answered[]) {
  const images = new Map<string, { id: number; file_name: string; width: number; height: number }>();
  const categories = new Map<string, { id: number; name: string }>();
  const annotations = answered.flatMap(({ photo, width, height, question, answer }) => {
    const image = images.get(photo) ?? { id: images.size + 1, file_name: photo, width, height };
    images.set(photo, image);
    return answer.segments.map(({ phrase, mask, box, area, score }) => {
      const category = categories.get(phrase) ?? { id: categories.size + 1, name: phrase };
      categories.set(phrase, category);
      const { size, counts } = mask;
      const segmentation = { size, counts };
      return {
        image_id: image.id,
        category_id: category.id,
        segmentation,
        bbox: box,
        area,
        iscrowd: 0,
        score,
        question,
      };
    });
  });
  return {
    images: [...images.values()],
    annotations: annotations.map((annotation, index) => ({ id: index + 1, ...annotation })),
    categories: [...categories.values()],
  };
}

/** How masks are written: COCO's run lengths, pictures with one bit a pixel, rings, or one COCO file for all. */
export const FORMATS = ['rle', 'png', 'polygon', 'coco'] as const;
export type Format = (typeof FORMATS)[number];

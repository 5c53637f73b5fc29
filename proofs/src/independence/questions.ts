import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Bundle } from '@segue/bundle';
import { decodePicture, DEFAULT_PICTURE_LIMITS, type RgbImage } from '@segue/imaging';
import { cropOf } from '@segue/load';

export interface Question {
  readonly imageId: string;
  readonly picture: RgbImage;
  readonly instruction: string;
}

/** Of one picture, asked one after the other. */
const QUESTIONS_A_PICTURE = 5;

/** From one word to a whole thought: rows of very different lengths stand beside each other. */
const WORDINGS: readonly ((kind: string) => string)[] = [
  (kind) => kind,
  (kind) => `Where is the ${kind}?`,
  () => 'What here could I drink from?',
  (kind) => `Can you segment the ${kind} in this image? Explain why you chose it, and say what is beside it.`,
  (kind) => `I am looking for every ${kind} that is not on the left. Segment each of them separately, please.`,
  () => 'What is here?',
  () => 'Which of these things is alive?',
];

/** Questions about crops of the photos in a folder: always the same ones, each another. */
export async function questionsOf(bundle: Bundle, folder: string, count: number): Promise<Question[]> {
  const photos = readdirSync(folder).filter((name) => name.endsWith('.jpg'));
  const kinds = bundle.manifest.knowledge?.kinds ?? ['cup', 'cat', 'person'];
  const pictures = await Promise.all(
    Array.from({ length: Math.ceil(count / QUESTIONS_A_PICTURE) }, async (_, index) => {
      const photo = sharp(join(folder, photos[index % photos.length] as string));
      const { width = 0, height = 0 } = await photo.metadata();
      const { longest, ...part } = cropOf({ width, height }, index);
      const crop = photo.extract(part).resize({ width: longest, height: longest, fit: 'inside' });
      return decodePicture(await crop.png().toBuffer(), DEFAULT_PICTURE_LIMITS);
    }),
  );
  return Array.from({ length: count }, (_, index) => {
    const at = Math.floor(index / QUESTIONS_A_PICTURE);
    const word = WORDINGS[index % WORDINGS.length] as (kind: string) => string;
    const kind = kinds[(index * 7) % kinds.length] as string;
    return { imageId: `crop-${at}`, picture: pictures[at] as RgbImage, instruction: word(kind) };
  });
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cropOf } from '@segue/load';
import sharp from 'sharp';
import { ROOT } from './workspace.js';

/** One thing to ask. */
export interface Question {
  /** A JPEG. */
  readonly picture: Uint8Array;
  readonly instruction: string;
}

/** What kind of answer the questions are after. */
export type Kind = 'one target' | 'three targets' | 'explained';

/** `new`: no picture was seen before by anyone; `repeated`: a few pictures, again and again. */
export type Pictures = 'new' | 'repeated';

const QUESTIONS: readonly (Record<Kind, readonly string[]> & { readonly photo: string })[] = [
  {
    photo: 'coffee.jpg',
    'one target': ['Where could I pour a drink?', 'Can you segment the cup in this image?', 'Segment the spoon.'],
    'three targets': ['Segment the cup, the spoon and the plate.', 'Segment the cup, the spoon and the table.'],
    explained: ['What could I drink from? Explain why.', 'Which thing here would help me to wake up, and why?'],
  },
  {
    photo: 'cat.jpg',
    'one target': ['Can you segment the cat in this image?', 'Segment the cat.', 'Which animal is this?'],
    'three targets': ['Segment the cat, the chair and the couch.', 'Segment the person, the cat and the chair.'],
    explained: ['Which animal is this? Explain why.', 'Which of these is alive? Explain why.'],
  },
  {
    photo: 'astronaut.jpg',
    'one target': ['Who could fly to space?', 'Can you segment the person in this image?', 'Segment the person.'],
    'three targets': ['Segment the person, the helmet and the flag.', 'Segment the person, the chair and the tie.'],
    explained: ['Who could explain this to me, and why?', 'Who is smiling? Explain why.'],
  },
];
/** Pictures that are asked about again and again: fewer than any contestant keeps. */
const REPEATED = 6;

/**
 * The same questions with the contestant's name as a comment in each JPEG (marker COM of ITU-T T.81): the pixels stay, and
 * contestants that share processes do not find each other's pictures in a cache.
 */
export function markedFor(contestant: string, questions: readonly Question[]): Question[] {
  const comment = Buffer.from(contestant);
  const marker = Buffer.from([0xff, 0xfe, 0, comment.length + 2]);
  return questions.map(({ picture, instruction }) => {
    const [start, rest] = [picture.subarray(0, 2), picture.subarray(2)];
    return { picture: Buffer.concat([start, marker, comment, rest]), instruction };
  });
}

/** Questions in an order that is the same in every run; pictures are crops of the example photos, each at a size of its own. */
export class Workload {
  readonly #photos = QUESTIONS.map(({ photo }) => readFileSync(join(ROOT, 'examples', photo)));
  #made = 0;

  /** The next `count` questions. */
  async questions(count: number, kind: Kind, pictures: Pictures): Promise<Question[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const seed = pictures === 'new' ? REPEATED + this.#made++ : index % REPEATED;
        const { [kind]: asked } = QUESTIONS[seed % QUESTIONS.length] ?? { [kind]: [] };
        const picture = await this.#vary(seed);
        return { picture, instruction: asked[Math.floor(index / REPEATED) % asked.length] ?? '' };
      }),
    );
  }

  async #vary(seed: number): Promise<Uint8Array> {
    const photo = sharp(this.#photos[seed % QUESTIONS.length]);
    const { longest, ...part } = cropOf(await photo.metadata(), seed);
    return photo
      .extract(part)
      .resize({ width: longest, height: longest, fit: 'inside' })
      .jpeg({ quality: 90 })
      .toBuffer();
  }
}

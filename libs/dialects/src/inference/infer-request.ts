import { SegueError } from '@segue/core';
import type { Asked, AskedPicture } from '../asked.js';
import { INPUTS } from './tensors.js';

/** An input as it arrived. */
export interface Input {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Its one element. */
  readonly element: Uint8Array;
}

/** Inputs of a model as a question. @throws SegueError INVALID_ARGUMENT that says what is wrong with them. */
export function inputsToAsked(inputs: readonly Input[], model: string): Asked {
  for (const { name, datatype, shape } of inputs) {
    if (!INPUTS.some((known) => known.name === name)) {
      throw refused(
        `There is no input of one of these names. Send some of: ${INPUTS.map((known) => known.name).join(', ')}.`,
      );
    }
    if (datatype !== 'BYTES' || shape.reduce((product, size) => product * size, 1) !== 1) {
      throw refused(`The input "${name}" must be of the datatype BYTES and the shape [1].`);
    }
  }
  const element = (name: string) => inputs.find((input) => input.name === name)?.element;
  const instruction = element('instruction');
  if (!instruction) throw refused('The input "instruction" is missing.');
  return { picture: pictureOf(element('image'), element('image_id')), instruction: textOf(instruction), model };
}

function pictureOf(bytes: Uint8Array | undefined, imageId: Uint8Array | undefined): AskedPicture {
  if (bytes && !imageId) return { bytes };
  if (imageId && !bytes) return { imageId: textOf(imageId) };
  throw refused('Send either the picture\'s file as the input "image" or the id of a stored one as "image_id".');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

function refused(sentence: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', sentence);
}

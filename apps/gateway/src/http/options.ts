import { SegueError } from '@segue/core';
import { z } from 'zod';
import { OPTIONS, toCommand, type Option, type Options, type SegmentationCommand } from '../segmentation/command.js';
import { parseOptions } from '../segmentation/parse-options.js';
import type { RequestBody } from './request-body.js';

const NAMES = Object.keys(OPTIONS) as Option[];

/** snake_case, as everywhere in the HTTP interface. */
export function spell(option: Option): string {
  return option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The options in the HTTP interface's spelling. */
export const OptionsSchema = z.strictObject(Object.fromEntries(NAMES.map((name) => [spell(name), OPTIONS[name]])));

/**
 * @param idempotencyKey of the header, which says the same as the option.
 * @throws SegueError INVALID_ARGUMENT
 */
export function commandOf({ image, rest }: RequestBody, idempotencyKey: string | undefined): SegmentationCommand {
  const given = parseOptions(OptionsSchema, idempotencyKey === undefined ? rest : withKey(rest, idempotencyKey));
  return toCommand(image, Object.fromEntries(NAMES.map((name) => [name, given[spell(name)]])) as Options, spell);
}

function withKey(rest: RequestBody['rest'], key: string): RequestBody['rest'] {
  if ((rest.idempotency_key ?? key) === key) return { ...rest, idempotency_key: key };
  throw new SegueError(
    'INVALID_ARGUMENT',
    'The header Idempotency-Key and the option "idempotency_key" differ. Send one.',
  );
}

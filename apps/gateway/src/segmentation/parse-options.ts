import { SegueError } from '@segue/core';
import type { z } from 'zod';

/**
 * Checks what a client sent. Unknown options are refused by schemas that are strict: an option that is silently ignored
 * would be an answer to another question.
 * @param spell the client's spelling of the schema's keys, where they differ.
 * @throws SegueError INVALID_ARGUMENT that says of every bad option what is wrong with it.
 */
export function parseOptions<S extends z.ZodObject>(
  schema: S,
  raw: unknown,
  spell: (key: keyof S['shape'] & string) => string = (key) => key,
): z.infer<S> {
  const result = schema.safeParse(raw, { error: sentence });
  if (result.success) return result.data;
  const fields = result.error.issues.map(({ path, message }) => ({
    field: nameOf(path, spell as (key: string) => string),
    problem: message,
  }));
  const sentences = fields.map(({ field, problem }) => (field === '' ? problem : `"${field}" ${problem}.`));
  throw new SegueError('INVALID_ARGUMENT', sentences.join(' '), { details: { fields } });
}

function nameOf([option, ...rest]: readonly PropertyKey[], spell: (key: string) => string): string {
  if (option === undefined) return '';
  return (
    spell(String(option)) + rest.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  );
}

/** What is wrong, to be read after the option's name. */
const sentence: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'unrecognized_keys':
      return `There is no option ${issue.keys.map((key) => `"${key}"`).join(', ')}. Leave it out or check its spelling.`;
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${ARTICLES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${String(issue.minimum)}`;
    case 'too_big':
      return `must be at most ${String(issue.maximum)}`;
    default:
      return undefined;
  }
};

const ARTICLES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};

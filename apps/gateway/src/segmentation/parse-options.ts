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
  const fields = result.error.issues.slice(0, MAX_PROBLEMS).map(({ path, message }) => ({
    field: nameOf(path, spell as (key: string) => string),
    problem: message,
  }));
  const sentences = fields.map(({ field, problem }) => (field === '' ? problem : `"${field}" ${problem}.`));
  throw new SegueError('INVALID_ARGUMENT', sentences.join(' '), { details: { fields } });
}

/** An error names so many bad options, and so many unknown ones: a sentence is not as long as what was sent. */
const [MAX_PROBLEMS, MAX_NAMES, MAX_NAME_LENGTH] = [10, 5, 40];

/** A name that a client chose, for a sentence: in quotes, without what would break a line, and cut when it is long. */
export function quote(name: string): string {
  const plain = name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd');
  const points = [...plain.slice(0, 2 * MAX_NAME_LENGTH)];
  const cut = points.length > MAX_NAME_LENGTH || plain.length > 2 * MAX_NAME_LENGTH;
  return `"${points.slice(0, MAX_NAME_LENGTH).join('')}${cut ? '…' : ''}"`;
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
      return `There is no option ${listed(issue.keys)}. Leave it out or check its spelling.`;
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${ARTICLES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${String(issue.minimum)}`;
    case 'too_big':
      // The limit of whole numbers in JSON is none that anybody would aim at.
      return issue.maximum === Number.MAX_SAFE_INTEGER ? 'is too large' : `must be at most ${String(issue.maximum)}`;
    default:
      return undefined;
  }
};

function listed(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return names.slice(0, MAX_NAMES).map(quote).join(', ') + more;
}

const ARTICLES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};

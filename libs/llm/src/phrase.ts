import type { Span } from '@segue/core';

/** The words that a segment stands for and where they are, in UTF-16 code units of the searched text. */
export interface Phrase {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The last match of the manifest's `phrasePattern`, without the blanks around it; `undefined` when nothing matches.
 * `text` reaches from the previous `<SEG>` to this one.
 */
export function lastPhrase(pattern: RegExp, text: string): Phrase | undefined {
  const match = [...text.matchAll(pattern)].at(-1);
  const phrase = match?.[0].trim();
  if (!match || !phrase) return undefined;
  const start = match.index + match[0].indexOf(phrase);
  return { text: phrase, start, end: start + phrase.length };
}

/** Unicode code points in a text. */
export function codePoints(text: string): number {
  return Array.from(text).length;
}

/** A range of UTF-16 code units of `text` in code points. */
export function spanOf(text: string, start: number, end: number): Span {
  const before = codePoints(text.slice(0, start));
  return [before, before + codePoints(text.slice(start, end))];
}

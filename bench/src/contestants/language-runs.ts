import { median, groups } from 'd3-array';
import type { LanguageObserver } from '@segue/llm';

/** What a run of the language graph read: new pictures with a question about each, questions about known pictures, or one step. */
export type Reading = 'pictures' | 'questions' | 'step';

/** Wall time of one run of the language graph over so many answers. */
export interface LanguageRun {
  readonly reading: Reading;
  readonly rows: number;
  readonly ms: number;
}

/** Notes every run of a language model whose observer it is. */
export class LanguageRuns implements LanguageObserver {
  readonly runs: LanguageRun[] = [];

  readonly onPrefill: NonNullable<LanguageObserver['onPrefill']> = ({ prefix, rows, seconds }) => {
    this.runs.push({ reading: prefix ? 'pictures' : 'questions', rows, ms: seconds * 1000 });
  };

  readonly onDecode: NonNullable<LanguageObserver['onDecode']> = ({ rows, seconds }) => {
    this.runs.push({ reading: 'step', rows, ms: seconds * 1000 });
  };
}

/** The median time of each kind of run. */
export function medianRuns(runs: readonly LanguageRun[]): LanguageRun[] {
  return groups(runs, ({ reading, rows }) => `${reading} ${rows}`).flatMap(([, [first, ...others]]) =>
    first ? [{ ...first, ms: median([first, ...others], ({ ms }) => ms) ?? NaN }] : [],
  );
}

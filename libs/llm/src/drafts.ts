const START = -1;
/** Stands for any token in a key. */
const ANY = -2;

/**
 * Guesses how answers go on, so that one run of the model checks several tokens instead of writing one (speculative decoding
 * with an n-gram draft: Leviathan et al. 2023, "Fast Inference from Transformers via Speculative Decoding", section 2.3).
 * The last two tokens decide, or where nobody wrote those, one of them. A guess depends on the answer's own tokens
 * alone, hence so does the way it is computed.
 */
export class Drafts {
  /** By context, what follows in at least half of all cases; nothing where no token does. */
  readonly #likely = new Map<string, number | undefined>();
  readonly #atMost: number;

  /** `answers`: token ids of usual answers; nothing is guessed behind their end. `atMost`: tokens in one guess. */
  constructor(answers: readonly (readonly number[])[], atMost: number) {
    this.#atMost = atMost;
    const following = new Map<string, Map<number, number>>();
    for (const answer of answers) {
      answer.forEach((token, at) => {
        const [before, last] = context(answer.slice(0, at));
        for (const key of keysOf(before, last)) {
          const counts = following.get(key) ?? new Map<number, number>();
          following.set(key, counts.set(token, (counts.get(token) ?? 0) + 1));
        }
      });
    }
    for (const [key, counts] of following) {
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      this.#likely.set(key, [...counts].find(([, count]) => 2 * count >= total)?.[0]);
    }
  }

  /** Tokens that probably follow those of an answer; `room`: at most so many. */
  after(tokens: readonly number[], room: number): number[] {
    const guess: number[] = [];
    while (guess.length < Math.min(room, this.#atMost)) {
      const keys = keysOf(...context([...tokens.slice(-2), ...guess]));
      const known = keys.find((key) => this.#likely.has(key));
      const next = known === undefined ? undefined : this.#likely.get(known);
      if (next === undefined) break;
      guess.push(next);
    }
    return guess;
  }
}

function context(tokens: readonly number[]): [number, number] {
  return [tokens.at(-2) ?? START, tokens.at(-1) ?? START];
}

/** From the most to the least that is known. */
function keysOf(before: number, last: number): string[] {
  return [`${before} ${last}`, `${before} ${ANY}`, `${ANY} ${last}`];
}

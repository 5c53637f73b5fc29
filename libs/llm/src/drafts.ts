const START = -1;
/** Stands for any token in a key. */
const ANY = -2;
/** From this share of the usual answers on, a token is guessed whatever was asked. */
const LIKELY = 0.5;
/** From this share on, it is guessed where the question says nothing: one token more costs a run far less than a tenth of it. */
const WORTH_A_GUESS = 0.1;

/**
 * Guesses how answers go on, so that one run of the model checks several tokens instead of writing one (speculative decoding:
 * Leviathan et al. 2023, "Fast Inference from Transformers via Speculative Decoding", section 2.3, with the approximations of
 * its section 4.2: an n-gram model of usual answers, and words taken over from the question).
 * The last two tokens decide, or where nobody wrote those, one of them. A guess depends on question and answer alone, hence so
 * does the way the answer is computed.
 */
export class Drafts {
  readonly #following: ReadonlyMap<string, Followers>;
  readonly #atMost: number;

  /** `answers`: token ids of usual answers; nothing is guessed behind their end. `atMost`: tokens in one guess. */
  constructor(answers: readonly (readonly number[])[], atMost: number) {
    this.#atMost = atMost;
    const following = new Map<string, Map<number, number>>();
    for (const answer of answers) {
      answer.forEach((token, at) => {
        for (const key of keysOf(answer.slice(0, at))) {
          const counts = following.get(key) ?? new Map<number, number>();
          following.set(key, counts.set(token, (counts.get(token) ?? 0) + 1));
        }
      });
    }
    this.#following = new Map([...following].map(([key, counts]) => [key, followersOf(counts)]));
  }

  /**
   * Tokens that probably follow those of an answer.
   * @param question the question's tokens: of the names that may follow, the answer probably takes one that was asked for.
   * @param room at most so many
   */
  after(tokens: readonly number[], question: readonly number[], room: number): number[] {
    const guess: number[] = [];
    while (guess.length < Math.min(room, this.#atMost)) {
      const next = this.#next([...tokens, ...guess], question);
      if (next === undefined) break;
      guess.push(next);
    }
    return guess;
  }

  #next(written: readonly number[], question: readonly number[]): number | undefined {
    const key = keysOf(written).find((known) => this.#following.has(known));
    const followers = key === undefined ? undefined : this.#following.get(key);
    if (!followers) return undefined;
    const { all, first, share } = followers;
    if (share >= LIKELY) return first;
    const named = question.find((token) => all.has(token) && !written.includes(token));
    return named ?? (share >= WORTH_A_GUESS ? first : undefined);
  }
}

/** What follows a context in usual answers. */
interface Followers {
  readonly all: ReadonlySet<number>;
  /** The most frequent; of several, the one that came first. */
  readonly first: number | undefined;
  /** Of the most frequent. */
  readonly share: number;
}

function followersOf(counts: ReadonlyMap<number, number>): Followers {
  const most = Math.max(...counts.values());
  const first = [...counts].find(([, count]) => count === most)?.[0];
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { all: new Set(counts.keys()), first, share: most / total };
}

/** The contexts of what follows these tokens, from the most to the least that is known. */
function keysOf(written: readonly number[]): string[] {
  const [before, last] = [written.at(-2) ?? START, written.at(-1) ?? START];
  return [`${before} ${last}`, `${before} ${ANY}`, `${ANY} ${last}`];
}

import { computed, signal } from '@preact/signals';
import type { Exchange } from '../service/bodies.js';
import { cancel, follow, job, picture as storedPicture, Problem, submit } from '../service/service.js';
import { Picture } from './picture.js';
import { Turn } from './turn.js';

/** Turns that are sent along with a question. */
const HISTORY_TURNS = 3;

/** One segment of one turn. */
export interface Mark {
  readonly turn: Turn;
  readonly index: number;
}

let lastKey = 0;

/** A picture and what has been asked about it. */
export class Conversation {
  readonly key = ++lastKey;
  readonly turns = signal<readonly Turn[]>([]);
  /** What is pointed at, and what has been chosen by a click. */
  readonly pointed = signal<Mark | undefined>(undefined);
  readonly chosen = signal<Mark | undefined>(undefined);
  readonly lit = computed(() => this.pointed.value ?? this.chosen.value);
  readonly running = computed(() => this.turns.value.some((turn) => turn.running.value));
  /** Ids of its jobs, oldest first. */
  readonly jobIds = computed(() => this.turns.value.flatMap((turn) => turn.jobId.value ?? []));
  #asking = new AbortController();

  constructor(readonly picture: Picture) {}

  /** Takes up a conversation by the ids of its jobs. @throws Problem when one of them, or the picture, is not kept. */
  static async reopen(jobIds: readonly string[]): Promise<Conversation> {
    const jobs = await Promise.all(jobIds.map(job));
    const imageId = jobs[0]?.image_id ?? '';
    const blob = await storedPicture(imageId);
    if (!blob) throw new Problem('The picture of this link is not kept any more. Choose a picture and ask again.');
    const picture = await Picture.open(blob);
    picture.imageId = imageId;
    const conversation = new Conversation(picture);
    conversation.turns.value = jobs.map((found, position) => {
      const turn = new Turn(found.instruction);
      turn.jobId.value = found.job_id;
      turn.visible.value = position === jobs.length - 1;
      if (found.state === 'queued' || found.state === 'running') void conversation.#watch(turn, found.job_id);
      else turn.restore(found);
      return turn;
    });
    return conversation;
  }

  /** Asks; resolves when the answer has ended, however it has. */
  async ask(instruction: string): Promise<void> {
    const turn = new Turn(instruction, this.#history());
    for (const earlier of this.turns.value) earlier.visible.value = false;
    this.chosen.value = undefined;
    this.turns.value = [...this.turns.value, turn];
    await this.#settle(turn, async (signal) => {
      const { history } = turn;
      const { job_id, image_id } = await submit(this.picture, { instruction, history }, signal);
      this.picture.imageId = image_id;
      turn.jobId.value = job_id;
      return job_id;
    });
  }

  async stop(): Promise<void> {
    const stopped = this.turns.value.filter((turn) => turn.running.value).flatMap(({ jobId }) => jobId.value ?? []);
    this.#asking.abort();
    this.#asking = new AbortController();
    // A job that cannot be told ends at its deadline.
    await Promise.allSettled(stopped.map(cancel));
  }

  close(): void {
    void this.stop();
    this.picture.close();
  }

  /** The segment at a point of the picture (0..1 of width and height): the smallest of those that are shown. */
  markAt(x: number, y: number): Mark | undefined {
    const marks = this.turns.value
      .filter((turn) => turn.visible.value)
      .flatMap((turn) => turn.segments.value.map((segment) => ({ turn, segment })))
      .filter(({ segment }) => segment.painted?.contains(x, y))
      .sort((a, b) => a.segment.area - b.segment.area);
    const [first] = marks;
    return first && { turn: first.turn, index: first.segment.index };
  }

  /** Chooses a segment, or lets it go if it is the chosen one. */
  choose(mark: Mark | undefined): void {
    this.chosen.value = mark && !same(mark, this.chosen.value) ? mark : undefined;
    if (mark) mark.turn.visible.value = true;
  }

  #watch(turn: Turn, jobId: string): Promise<void> {
    return this.#settle(turn, async () => jobId);
  }

  async #settle(turn: Turn, begin: (signal: AbortSignal) => Promise<string>): Promise<void> {
    const { signal } = this.#asking;
    try {
      const jobId = await begin(signal);
      for await (const event of follow(jobId, signal)) turn.take(event);
      if (turn.running.value) throw new Problem('The answer broke off. Ask again.');
    } catch (error) {
      if (signal.aborted) {
        turn.state.value = 'stopped';
        return;
      }
      // The oldest turns make room where the model holds no more.
      if (error instanceof Problem && error.tooLong && turn.forgetOldest()) return this.#settle(turn, begin);
      if (!(error instanceof Problem)) console.error(error);
      turn.fail(error instanceof Problem ? error.message : 'The answer broke off. Ask again.');
    }
  }

  #history(): Exchange[] {
    const answered = this.turns.value.filter((turn) => turn.state.value === 'done');
    return answered.slice(-HISTORY_TURNS).map((turn) => ({ instruction: turn.question, answer: turn.text.value }));
  }
}

export function same(a: Mark | undefined, b: Mark | undefined): boolean {
  return a?.turn === b?.turn && a?.index === b?.index;
}

import { computed, signal } from '@preact/signals';
import { segmentColour } from '@segue/core/palette';
import { paintMask, type PaintedMask } from '../masks/painter.js';
import type { Answer, Exchange, Job, JobEvent, Segment, Stage } from '../service/bodies.js';
import { Problem } from '../service/service.js';

export type TurnState = 'waiting' | 'writing' | 'done' | 'stopped' | 'failed';

/** A segment with its colour; painted as soon as its mask has been drawn. */
export interface ShownSegment extends Segment {
  readonly colour: string;
  readonly painted?: PaintedMask;
}

let lastKey = 0;

/** One question about a picture, and its answer as far as it has arrived. */
export class Turn {
  readonly key = ++lastKey;
  readonly state = signal<TurnState>('waiting');
  /** What is being done; `starting` while there is no worker yet to do it. */
  readonly stage = signal<Stage | 'starting' | undefined>(undefined);
  readonly text = signal('');
  readonly segments = signal<readonly ShownSegment[]>([]);
  /** Whether its masks lie over the picture. */
  readonly visible = signal(true);
  readonly problem = signal('');
  readonly answer = signal<Answer | undefined>(undefined);
  readonly jobId = signal<string | undefined>(undefined);
  readonly running = computed(() => this.state.value === 'waiting' || this.state.value === 'writing');

  /** @param history the earlier turns that are sent along. */
  constructor(
    readonly question: string,
    public history: readonly Exchange[] = [],
  ) {}

  /** Takes what happened to the job. @throws Problem when it failed or was cancelled. */
  take(event: JobEvent): void {
    switch (event.type) {
      case 'accepted':
        return;
      case 'starting':
        this.stage.value = 'starting';
        return;
      case 'stage':
        if (!event.done) this.stage.value = event.stage;
        return;
      case 'restarted':
        this.text.value = '';
        this.segments.value = [];
        return;
      case 'text':
        this.state.value = 'writing';
        this.text.value = [...this.text.value].slice(0, event.offset).join('') + event.text;
        return;
      case 'segment':
        this.#add(event.segment);
        return;
      case 'completed':
        this.complete(event.answer);
        return;
      case 'failed':
        throw new Problem(event.error.message, 0, event.error.details);
      case 'cancelled':
        throw new Problem('This question was cancelled. Ask it again.');
    }
  }

  complete(answer: Answer): void {
    this.text.value = answer.text;
    answer.segments.forEach((segment) => this.#add(segment));
    this.answer.value = answer;
    this.state.value = 'done';
  }

  /** Takes a job that has ended. */
  restore({ answer, error, state }: Job): void {
    if (answer) this.complete(answer);
    else if (state === 'cancelled') this.state.value = 'stopped';
    else this.fail(error?.message ?? '');
  }

  fail(message: string): void {
    this.problem.value = message;
    this.state.value = 'failed';
  }

  /** Leaves the oldest turn out of what is sent along. @returns whether there was one. */
  forgetOldest(): boolean {
    const [oldest, ...others] = this.history;
    this.history = others;
    return oldest !== undefined;
  }

  #add(segment: Segment): void {
    if (this.segments.value.some(({ index }) => index === segment.index)) return;
    const shown: ShownSegment = { ...segment, colour: segmentColour(segment.index) };
    this.segments.value = [...this.segments.value, shown].sort((a, b) => a.index - b.index);
    paintMask(shown.mask, shown.colour).then(
      (painted) => {
        // It may be gone: the answer can have begun anew.
        this.segments.value = this.segments.value.map((other) => (other === shown ? { ...other, painted } : other));
      },
      () => this.fail('A mask of this answer cannot be drawn. Ask again.'),
    );
  }
}

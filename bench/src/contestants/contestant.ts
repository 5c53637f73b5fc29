import type { RunLengthMask, Stage } from '@segue/core';
import type { ProcessTree } from '../processes.js';
import type { Question } from '../workload.js';

/** Milliseconds that each stage took for one answer. */
export type StageTimes = Readonly<Record<Stage, number>>;

export interface Reply {
  readonly text: string;
  readonly masks: readonly RunLengthMask[];
  /** Time that counts, where it is not the time until the reply: a contestant in a process of the benchmark's own. */
  readonly tookMs?: number;
  /** When the first words and the first mask were there, for a reply that came bit by bit. */
  readonly firstWordMs?: number;
  readonly firstMaskMs?: number;
  /** As the contestant itself says it; of the bare graphs, the sum of the runs of each stage's. */
  readonly stageMs?: StageTimes;
  /** Runs of the language graph behind the first, where only this answer was written meanwhile. */
  readonly steps?: number;
}

/** @throws Error when there is no answer. */
export type Ask = (question: Question) => Promise<Reply>;

/** Something that answers questions about pictures, up and running. */
export interface Contestant {
  readonly name: string;
  readonly ask: Ask;
  /** As `ask`, and the reply says when its first words and mask came. Absent where answers come whole. */
  readonly stream?: Ask;
  /** Answers one question at a time. */
  readonly serial?: boolean;
  /** The processes that answer. */
  readonly processes: readonly ProcessTree[];
}

/** Contestants that run in the same processes. */
export interface Deployment {
  readonly contestants: readonly Contestant[];
  /** Milliseconds from the start of one more of each app until it serves; absent where there are none. */
  readonly starts?: () => Promise<Readonly<Record<string, number>>>;
  stop(): Promise<void>;
}

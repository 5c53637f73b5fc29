/** Where a batch stands, in OpenAI's words. */
export type BatchStatus = 'in_progress' | 'completed' | 'cancelling' | 'cancelled' | 'expired';

/** A file of lines: questions that were sent, or answers to them. */
export interface BatchFile {
  readonly id: string;
  readonly filename: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly purpose: 'batch' | 'batch_output';
}

/** Questions of one file, and how far they are answered. */
export interface Batch {
  readonly id: string;
  /** Whose it is. */
  readonly tenant: string;
  readonly inputFileId: string;
  /** Address that each line is sent to: it says how lines and answers look. */
  readonly endpoint: string;
  readonly status: BatchStatus;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly endedAtMs?: number;
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number };
  /** Texts of the client's own. */
  readonly metadata: Readonly<Record<string, string>>;
}

export function hasEnded({ status }: Pick<Batch, 'status'>): boolean {
  return status !== 'in_progress' && status !== 'cancelling';
}

/** Ids of the files that hold a batch's answers and failures; they are there as soon as the first line is. */
export function outputFileId(batchId: string): string {
  return `file-${batchId}-output`;
}

export function errorFileId(batchId: string): string {
  return `file-${batchId}-errors`;
}

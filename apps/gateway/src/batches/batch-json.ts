import { errorFileId, outputFileId, type Batch, type BatchFile } from '@segue/batches';

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** As OpenAI's clients parse it. https://platform.openai.com/docs/api-reference/files/object */
export function toFileBody({ id, bytes, createdAtMs, filename, purpose }: BatchFile) {
  return { id, object: 'file', bytes, created_at: seconds(createdAtMs), filename, purpose, status: 'processed' };
}

/** https://platform.openai.com/docs/api-reference/batch/object */
export function toBatchBody(batch: Batch): Readonly<Record<string, unknown>> & { readonly id: string } {
  const { id, status, counts, endedAtMs } = batch;
  const ended = (as: Batch['status']) => (status === as && endedAtMs !== undefined ? seconds(endedAtMs) : null);
  return {
    id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors: null,
    input_file_id: batch.inputFileId,
    completion_window: '24h',
    status,
    output_file_id: counts.completed > 0 ? outputFileId(id) : null,
    error_file_id: counts.failed > 0 ? errorFileId(id) : null,
    created_at: seconds(batch.createdAtMs),
    in_progress_at: seconds(batch.createdAtMs),
    expires_at: seconds(batch.expiresAtMs),
    finalizing_at: null,
    completed_at: ended('completed'),
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: ended('cancelled'),
    request_counts: counts,
    metadata: batch.metadata,
  };
}

import { SegueError, type Answer, type JobEvent, type JobEventBody } from '@segue/client';
import { DOUBT_BELOW } from '@segue/core/score';

/**
 * Shows the words of an answer: to a person as they come, to a file or a program when they are complete, since an answer that
 * begins anew cannot be taken back there.
 */
export function showWords(
  event: JobEventBody,
  out: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stdout,
): void {
  if (event.type === 'text' && out.isTTY) out.write(event.text);
  if (event.type === 'restarted' && out.isTTY) out.write('\nA worker was lost. The answer begins anew:\n');
  if (event.type === 'completed') out.write(out.isTTY ? '\n' : `${event.answer.text}\n`);
}

/** Follows a job to its end. @throws SegueError unless it is completed. */
export async function answerOf(
  events: AsyncIterable<JobEvent>,
  onEvent: (event: JobEventBody) => void,
): Promise<Answer> {
  for await (const event of events) {
    onEvent(event);
    if (event.type === 'completed') return event.answer;
    if (event.type === 'failed') throw new SegueError(event.error.code, event.error.message);
    if (event.type === 'cancelled') throw new SegueError('CANCELLED', 'The job was cancelled.');
  }
  throw new SegueError('UNAVAILABLE', 'The service ended the answer early. Ask again.');
}

/** What is not part of the answer goes to standard error. */
export function describe({ segments, timingsMs, model }: Answer): void {
  for (const { index, phrase, area, score, mask } of segments) {
    const share = (100 * area) / (mask.size[0] * mask.size[1]);
    const doubt = score < DOUBT_BELOW ? ', not sure' : '';
    process.stderr.write(
      `  ${index + 1} ${phrase}: ${share.toFixed(1)} % of the photo, score ${score.toFixed(2)}${doubt}\n`,
    );
  }
  process.stderr.write(`  ${model}: ${Math.round(timingsMs.total)} ms\n`);
}

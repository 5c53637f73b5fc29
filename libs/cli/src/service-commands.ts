import type { Job, JobState, SegmentOptions } from '@segue/client';
import { connect, type ServiceOptions } from './connect.js';
import { findPhotos } from './photos.js';
import { answerOf, showWords } from './show.js';

/** `segue jobs submit`: prints the job's id. */
export async function submit(
  photo: string,
  instruction: string,
  { webhook, ...service }: ServiceOptions & { readonly webhook?: string },
): Promise<void> {
  const [found] = await findPhotos([photo]);
  if (!found) return;
  const options: SegmentOptions = {
    image: await found.read(),
    instruction,
    ...(webhook !== undefined && { webhookUrl: webhook }),
  };
  print((await connect(service).jobs.submit(options)).jobId);
}

/** `segue jobs get`: prints the job as JSON. */
export async function get(jobId: string, service: ServiceOptions): Promise<void> {
  printJob(await connect(service).jobs.get(jobId));
}

export interface ListOptions extends ServiceOptions {
  readonly state?: JobState;
  readonly limit: number;
  readonly json?: boolean;
}

/** `segue jobs list`: a line for each, the newest first. */
export async function list({ state, limit, json = false, ...service }: ListOptions): Promise<void> {
  const jobs = connect(service).jobs.list(state === undefined ? {} : { state });
  let count = 0;
  for await (const job of jobs) {
    const { jobId, state: is, createdAtMs, instruction } = job;
    const created = new Date(createdAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
    print(json ? JSON.stringify(job) : `${jobId}  ${is.padEnd(9)}  ${created}  ${instruction}`);
    if (++count === limit) return;
  }
}

/** `segue jobs watch`: shows the words, those that have come already and those that will. */
export async function watch(jobId: string, service: ServiceOptions): Promise<void> {
  await answerOf(connect(service).jobs.watch(jobId), showWords);
}

/** `segue jobs cancel`: prints the job as JSON. */
export async function cancel(jobId: string, service: ServiceOptions): Promise<void> {
  printJob(await connect(service).jobs.cancel(jobId));
}

/** `segue models`: a line for each. */
export async function models({
  json = false,
  ...service
}: ServiceOptions & { readonly json?: boolean }): Promise<void> {
  for (const model of await connect(service).models.list()) {
    const marks = [model.isDefault ? 'default' : '', model.trained ? '' : 'not trained'].filter((mark) => mark !== '');
    const mark = marks.length === 0 ? '' : ` (${marks.join(', ')})`;
    print(json ? JSON.stringify(model) : `${model.name}@${model.version}${mark}: ${model.description}`);
  }
}

function printJob(job: Job): void {
  print(JSON.stringify(job));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

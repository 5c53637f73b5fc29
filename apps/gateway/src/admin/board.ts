import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Jobs } from '@segue/jobs';
import type { FastifyInstance } from 'fastify';

const PREFIX = '/queues';

/** The queues and their tasks as pages, to be read; without what people have asked. */
export async function serveBoard(fastify: FastifyInstance, jobs: Jobs): Promise<void> {
  const server = new FastifyAdapter().setBasePath(PREFIX);
  const queues = jobs.queues.map((queue) => {
    const adapter = new BullMQAdapter(queue, { readOnlyMode: true });
    adapter.setFormatter('data', ({ jobId, index }: { jobId?: string; index?: number }) => ({ jobId, index }));
    return adapter;
  });
  createBullBoard({ queues, serverAdapter: server, options: { uiConfig: { boardTitle: 'Segue' } } });
  await fastify.register(server.registerPlugin(), { prefix: PREFIX });
}

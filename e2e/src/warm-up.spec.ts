import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

it.each(['encoder-worker', 'llm-worker', 'decoder-worker'])(
  'SIGTERM while the %s loads its model ends it cleanly, long before the model is there',
  async (name) => {
    const worker = spawn(process.execPath, [`apps/${name}/dist/main.js`], {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'] ?? '',
        SEGUE_HOST: '127.0.0.1',
        SEGUE_HTTP_PORT: '0',
        SEGUE_TENSOR_PORT: '0',
        // Nobody listens there: a worker that warms up needs no Redis.
        SEGUE_REDIS_URL: 'redis://127.0.0.1:1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const exited = once(worker, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    for await (const line of createInterface(worker.stdout)) {
      lines.push(line);
      if (line.includes('bundle verified')) setTimeout(() => worker.kill('SIGTERM'), 300);
    }
    expect(await exited, lines.join('\n')).toEqual([0, null]);
    expect(lines.join('\n')).not.toContain('"state":"ready"');
  },
);

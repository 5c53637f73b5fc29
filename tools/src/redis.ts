import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { anyPort } from './ports.js';
import type { ProcessGroup } from './processes.js';
import { findProgram, installPackage } from './system-packages.js';
import { Advice, step } from './terminal.js';
import { STATE_FOLDER } from './workspace.js';

const SERVERS = ['redis-server', 'valkey-server'];
const LOG_FILE = join(STATE_FOLDER, 'redis.log');
const START_TIMEOUT_MS = 10_000;

/** A Redis server program of this machine, installed when it is missing and that is possible. */
export function redisProgram(): string {
  const program = findProgram(SERVERS) ?? (installPackage('redis-server') ? findProgram(SERVERS) : undefined);
  if (program) return program;
  throw new Advice(
    'Segue needs Redis. Install redis-server or valkey-server (Debian: sudo apt-get install redis-server; ' +
      'macOS: brew install redis), or set REDIS_URL to a running one.',
  );
}

/** URL of the Redis that `REDIS_URL` names, else of one of our own: free port, data in `folder`, nothing evicted. */
export async function provideRedis(group: ProcessGroup, folder: string): Promise<string> {
  const url = process.env['REDIS_URL'] ?? process.env['SEGUE_REDIS_URL'];
  if (url) {
    step('Using the Redis of REDIS_URL');
    return url;
  }
  const port = await anyPort();
  step(`Starting Redis on port ${port}`);
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    'maxmemory-policy': 'noeviction',
    appendonly: 'yes',
    logfile: LOG_FILE,
    save: '',
  };
  const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const server = group.start({ name: 'redis', colour: 'dim', command: [redisProgram(), ...args] });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answersPing(port))) {
    if (server.ended !== undefined || Date.now() > deadline) {
      throw new Advice(`Redis did not start: see ${LOG_FILE}.`);
    }
    await sleep(50);
  }
  return `redis://127.0.0.1:${port}`;
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('data', (data) => answer(data.toString().startsWith('+PONG')));
    socket.once('error', () => answer(false));
    socket.setTimeout(1000, () => answer(false));
  });
}

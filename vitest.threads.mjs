// Lets threads that code under test starts read TypeScript sources, as Vitest lets its own thread. Given to Node by
// `--import`, which threads inherit.
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) register('./vitest.sources.mjs', import.meta.url);

import { openBlobs } from '@segue/blobs';
import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { openStage } from './open-stage.js';

/** How long a task waits for a picture store that is away, unless its job ends before. As for Redis. */
const PICTURE_PATIENCE_MS = 600_000;

await runWorker({
  name: 'encoder-worker',
  readConfig,
  stage: 'encode',
  openBlobs: ({ pictureStore }, log) => openBlobs(pictureStore, { patienceMs: PICTURE_PATIENCE_MS, log }),
  openStage,
});

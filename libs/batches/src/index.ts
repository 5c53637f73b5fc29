export { errorFileId, outputFileId, type Batch, type BatchFile } from './batch.js';
export { BatchRunner, linesOf, type Answer, type LineResult } from './batch-runner.js';
export { BatchStore } from './batch-store.js';

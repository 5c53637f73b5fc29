// as: libs/core/src/index.ts
// breaks: @nx/enforce-module-boundaries
import { Queue } from 'bullmq';

export const queue = new Queue('segue.segment');

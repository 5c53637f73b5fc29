// as: libs/jobs/src/index.ts
// breaks: no-restricted-imports
import { env } from 'node:process';

export const url = env['SEGUE_REDIS_URL'];

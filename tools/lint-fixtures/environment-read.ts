// as: libs/jobs/src/index.ts
// breaks: no-restricted-properties
export const url = process.env['SEGUE_REDIS_URL'];

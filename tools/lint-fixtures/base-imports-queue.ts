// as: libs/redis/src/index.ts
// breaks: @nx/enforce-module-boundaries
export { Queue } from 'bullmq';

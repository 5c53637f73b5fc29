// as: libs/client/src/index.ts
// breaks: @nx/enforce-module-boundaries
import { Redis } from 'ioredis';

export const redis = new Redis();

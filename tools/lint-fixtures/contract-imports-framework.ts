// as: libs/contracts/src/index.ts
// breaks: @nx/enforce-module-boundaries
import { credentials } from '@grpc/grpc-js';

export const insecure = credentials.createInsecure();

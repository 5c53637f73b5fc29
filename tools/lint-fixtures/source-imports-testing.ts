// as: libs/jobs/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/testing';

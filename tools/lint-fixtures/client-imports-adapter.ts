// as: libs/client/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/jobs';

// as: libs/core/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/decoder';

// as: libs/decoder/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/imaging';

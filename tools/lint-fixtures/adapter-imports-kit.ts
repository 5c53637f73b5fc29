// as: libs/rpc/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/service';

// as: libs/decoder/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '../../core/src/index.js';

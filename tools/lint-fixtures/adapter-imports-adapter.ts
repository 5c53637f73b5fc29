// as: libs/imaging/src/index.ts
// breaks: @nx/enforce-module-boundaries
export * from '@segue/onnx';

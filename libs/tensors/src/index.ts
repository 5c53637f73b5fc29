export * from './bytes.js';
export * from './release.js';
export * from './shape.js';
export * from './tensor.js';

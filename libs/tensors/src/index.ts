export * from './bytes.js';
export * from './tensor.js';

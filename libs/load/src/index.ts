export * from './loops.js';
export * from './percentiles.js';

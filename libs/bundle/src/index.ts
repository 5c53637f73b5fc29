export * from './geometry.js';
export * from './load.js';
export * from './manifest.js';

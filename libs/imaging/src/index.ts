export * from './mask-png.js';
export * from './picture.js';
export * from './polygon.js';
export * from './preprocess.js';

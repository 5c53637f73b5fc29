export * from './mask-png.js';
export * from './overlay.js';
export { PALETTE } from './palette.js';
export * from './picture.js';
export * from './polygon.js';
export * from './preprocess.js';

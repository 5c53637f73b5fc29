export * from './mask-png.js';
export * from './overlay.js';
export * from './picture.js';
export * from './preprocess.js';
export { startRenderer, type Renderer } from './renderer.js';

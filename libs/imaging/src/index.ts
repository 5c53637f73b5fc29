export * from './mask-png.js';
export { signedArea } from './outline-holes.js';
export * from './overlay.js';
export * from './picture.js';
export * from './preprocess.js';
export { startRenderer, type Renderer } from './renderer.js';

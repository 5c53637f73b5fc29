export * from './mask-png.js';
export * from './overlay.js';
export * from './picture.js';
export * from './preprocess.js';
export { startRenderer, type Renderer, type RendererOptions } from './renderer.js';
export { PICTURE_FORMATS, USUAL_FORMATS, type PictureFormat } from './sharp.js';

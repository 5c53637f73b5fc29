export { imageIdOf, type PictureStore } from './picture-store.js';
export { Pictures } from './pictures.js';
export { startPictureSweep } from './picture-sweep.js';

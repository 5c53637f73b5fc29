export { imageIdOf, type PictureStore } from './picture-store.js';
export { RedisPictureStore } from './redis-picture-store.js';

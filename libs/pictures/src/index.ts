export { imageIdOf, type PictureStore, type PictureStoreOptions } from './picture-store.js';
export { RedisPictureStore } from './redis-picture-store.js';

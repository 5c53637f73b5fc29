export { openBlobs } from './open-blobs.js';

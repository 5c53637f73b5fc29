// as: libs/encoder/src/index.ts
// breaks: @nx/enforce-module-boundaries
import sharp from 'sharp';

export const decode = (bytes: Uint8Array) => sharp(bytes).raw();

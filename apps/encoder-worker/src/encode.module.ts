import { Module } from '@nestjs/common';
import { EncodeProcessor } from './encode.processor.js';

@Module({ providers: [EncodeProcessor] })
export class EncodeModule {}

export { EncodeProcessor };

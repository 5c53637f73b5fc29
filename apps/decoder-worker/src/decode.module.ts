import { Module } from '@nestjs/common';
import { DecodeProcessor } from './decode.processor.js';

@Module({ providers: [DecodeProcessor] })
export class DecodeModule {}

export { DecodeProcessor };

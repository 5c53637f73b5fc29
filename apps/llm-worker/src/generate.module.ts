import { Module } from '@nestjs/common';
import { GenerateProcessor } from './generate.processor.js';

@Module({ providers: [GenerateProcessor] })
export class GenerateModule {}

export { GenerateProcessor };

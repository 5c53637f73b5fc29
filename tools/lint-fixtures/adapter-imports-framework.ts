// as: libs/jobs/src/index.ts
// breaks: @nx/enforce-module-boundaries
import { Injectable } from '@nestjs/common';

@Injectable()
export class Jobs {}

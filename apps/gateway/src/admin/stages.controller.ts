import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { SegueError, STAGES, type Stage } from '@segue/core';
import { Jobs } from '@segue/jobs';

/** Lets operators hold a stage: its workers finish what they have and take nothing more, while jobs wait. */
@Controller('stages/:stage')
export class StagesController {
  readonly #jobs: Jobs;

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  @Post('pause')
  @HttpCode(204)
  async pause(@Param('stage') stage: string): Promise<void> {
    await this.#jobs.pause(stageOf(stage));
  }

  @Post('resume')
  @HttpCode(204)
  async resume(@Param('stage') stage: string): Promise<void> {
    await this.#jobs.resume(stageOf(stage));
  }
}

function stageOf(name: string): Stage {
  const stage = STAGES.find((one) => one === name);
  if (stage) return stage;
  throw new SegueError('NOT_FOUND', `There is no stage "${name}". The stages are ${STAGES.join(', ')}.`);
}

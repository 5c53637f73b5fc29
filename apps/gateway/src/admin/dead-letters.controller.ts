import { Controller, Delete, Get, Header, HttpCode, Param, Post } from '@nestjs/common';
import { Jobs, type DeadLetter } from '@segue/jobs';

/** A task that is not tried any more; see `DeadLetter`. */
interface DeadLetterBody {
  readonly job_id: string;
  readonly queue: string;
  readonly task_id: string;
  readonly reason: string;
  readonly deaths: number;
  readonly died_in: readonly string[];
  readonly noticed_by: string;
  readonly at_ms: number;
}

/** Tasks that were put away, for operators: what was asked is told by none of them. */
@Controller('dead-letters')
export class DeadLettersController {
  readonly #jobs: Jobs;

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  /** The newest first. */
  @Get()
  @Header('cache-control', 'no-store')
  async list(): Promise<{ readonly dead_letters: readonly DeadLetterBody[] }> {
    return { dead_letters: (await this.#jobs.deadLetters.list()).map(bodyOf) };
  }

  /** Makes a new job of the one that became a dead letter, and strikes it off. */
  @Post(':job/replay')
  @HttpCode(200)
  async replay(@Param('job') jobId: string): Promise<{ readonly job_id: string }> {
    return { job_id: await this.#jobs.replay(jobId) };
  }

  /** Strikes off all letters of a job. */
  @Delete(':job')
  @HttpCode(204)
  async drop(@Param('job') jobId: string): Promise<void> {
    await this.#jobs.deadLetters.drop(jobId);
  }
}

function bodyOf({ jobId, queue, taskId, reason, deaths, diedIn = [], worker, atMs }: DeadLetter): DeadLetterBody {
  return {
    job_id: jobId,
    queue,
    task_id: taskId,
    reason,
    deaths,
    died_in: diedIn,
    noticed_by: worker,
    at_ms: atMs,
  };
}

import { Controller, Get, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Lifecycle } from './lifecycle.js';

/** Health as Kubernetes asks for it. Neither answer looks at another service: a lost Redis must not restart pods. */
@Controller()
export class HealthController {
  readonly #lifecycle: Lifecycle;

  constructor(lifecycle: Lifecycle) {
    this.#lifecycle = lifecycle;
  }

  /** The process runs. */
  @Get('healthz/live')
  live(): { state: string } {
    return { state: this.#lifecycle.state };
  }

  /** The process takes work: 200, else 503. */
  @Get('healthz/ready')
  async ready(@Res() reply: FastifyReply): Promise<void> {
    await reply.status(this.#lifecycle.state === 'ready' ? 200 : 503).send({ state: this.#lifecycle.state });
  }
}

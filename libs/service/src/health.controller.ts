import { Controller, Get, Optional, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Registry } from 'prom-client';
import { Lifecycle } from './lifecycle.js';

/** Health as Kubernetes asks for it. Neither answer looks at another service: a lost Redis must not restart pods. */
@Controller()
export class HealthController {
  readonly #lifecycle: Lifecycle;
  /** Who may read metrics may know what the process waits for. */
  readonly #forOperators: boolean;

  constructor(lifecycle: Lifecycle, @Optional() metrics?: Registry) {
    this.#lifecycle = lifecycle;
    this.#forOperators = metrics !== undefined;
  }

  /** The process runs. */
  @Get('healthz/live')
  live(): { state: string } {
    return { state: this.#lifecycle.state };
  }

  /** The process takes work: 200, else 503. Operators hear what it waits for at its start. */
  @Get('healthz/ready')
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const { state, waitsFor } = this.#lifecycle;
    const told = this.#forOperators && waitsFor !== undefined ? { state, waitsFor } : { state };
    await reply.status(state === 'ready' ? 200 : 503).send(told);
  }
}

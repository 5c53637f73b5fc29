import { Controller, Get, Header } from '@nestjs/common';
import { Registry } from 'prom-client';

/** What Prometheus reads. */
@Controller()
export class MetricsController {
  readonly #metrics: Registry;

  constructor(metrics: Registry) {
    this.#metrics = metrics;
  }

  /** Everything measured, in Prometheus's text format. */
  @Get('metrics')
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  async read(): Promise<string> {
    return this.#metrics.metrics();
  }
}

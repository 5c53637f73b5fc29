import { Code } from '@connectrpc/connect';
import { SegueError } from '@segue/core';
import { expect, it } from 'vitest';
import { photo, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();

it('measures requests, queues and jobs', async () => {
  const { adminUrl, client, grpc } = fixture.gateway;
  const image = await photo();
  const instruction = 'Where is the cup?';
  const question = { picture: { case: 'image' as const, value: image }, instruction };
  await grpc.segment(question);
  await client.segment({ image, instruction });
  fixture.stages.generate = async () => {
    throw new SegueError('INVALID_ARGUMENT', 'no');
  };
  await expect(grpc.segment(question)).rejects.toMatchObject({ code: Code.InvalidArgument });
  const metrics = async () => {
    const text = await (await fetch(`${adminUrl}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith('segue_'))
      .join('\n');
  };
  await expect
    .poll(metrics, { timeout: 5_000 })
    .toMatch(/segue_jobs_total\{.*outcome="failed",code="INVALID_ARGUMENT".*\} 1/);
  const text = await metrics();
  expect(text).toMatch(/segue_http_request_seconds_count\{.*method="POST",route="\/v1\/segment",status="200"\} 1/);
  expect(text).toMatch(/segue_grpc_request_seconds_count\{.*method="Segment",code="OK".*\} 1/);
  expect(text).toMatch(/segue_grpc_request_seconds_count\{.*method="Segment",code="INVALID_ARGUMENT".*\} 1/);
  expect(text).toMatch(/segue_queue_tasks\{queue="encode",state="waiting".*\} 0/);
  expect(text).toMatch(/segue_jobs_total\{.*outcome="completed",code="".*\} 2/);
  expect(text).toMatch(/segue_tenant_jobs_total\{.*tenant="public",outcome="completed".*\} 2/);
  expect(text).toMatch(/segue_job_seconds_count\{.*phase="total"\} 2/);
  expect(text).toMatch(/segue_job_segments_total\{.*\} 2/);
  expect(text).toMatch(/segue_build_info\{.*version="\d+\.\d+\.\d+".*\} 1/);
  expect(text).toMatch(/segue_stage_workers\{.*stage="generate".*\} 1/);
  expect(text).toMatch(/segue_dead_letters\{.*\} 0/);
  expect(Number(/segue_redis_round_trip_seconds\{.*\} (.*)/.exec(text)?.[1])).toBeGreaterThan(0);
});

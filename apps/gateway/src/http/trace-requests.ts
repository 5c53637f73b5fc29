import { failSpan, openSpan, SpanKind } from '@segue/tracing';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const ROUTES = /^\/(v1|v2|cvat|label-studio)\b/;

/** A span for each request of the API, within which everything happens that is done for it. */
export function traceRequests(fastify: FastifyInstance): void {
  const open = new WeakMap<FastifyRequest, ReturnType<typeof openSpan>>();
  fastify.addHook('onRequest', async (request, reply) => {
    const { method, headers, id, routeOptions } = request;
    const route = routeOptions.url;
    if (route === undefined || !ROUTES.test(route)) return;
    const attributes = { 'http.request.method': method, 'http.route': route, 'segue.request_id': id };
    const opened = openSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes, from: headers });
    open.set(request, opened);
    // `onResponse` is not called where the client has gone.
    reply.raw.once('close', () => {
      const { statusCode, writableFinished } = reply.raw;
      opened.span.setAttribute('http.response.status_code', statusCode);
      if (!writableFinished) failSpan(opened.span, 'the client has gone');
      else if (statusCode >= 500) failSpan(opened.span, `status ${statusCode}`);
      opened.span.end();
    });
  });
  // Not earlier: reading the body leaves the context that was entered before it.
  fastify.addHook('preValidation', (request, _reply, done) => {
    const opened = open.get(request);
    if (opened) opened.within(done);
    else done();
  });
}

import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanOptions,
} from '@opentelemetry/api';

export { SpanKind, SpanStatusCode, type Span } from '@opentelemetry/api';

/** What carries a trace to another process: W3C's `traceparent` and `tracestate`. Empty where nothing is traced. */
export type TraceHeaders = Readonly<Record<string, string>>;

export interface SpanSettings extends Pick<SpanOptions, 'kind'> {
  readonly attributes?: Attributes;
  /** Where the trace comes from; without any, a trace of its own begins. The active span unless given. */
  readonly from?: Readonly<Record<string, unknown>> | undefined;
}

const tracer = trace.getTracer('segue');

/** Does something within a span, which ends with it and tells of its failure. */
export function inSpan<T>(name: string, settings: SpanSettings, act: (span: Span) => Promise<T>): Promise<T> {
  const { span, within } = openSpan(name, settings);
  return within(async () => {
    try {
      return await act(span);
    } catch (error) {
      failSpan(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** A span that the caller ends, and what makes it the active one. */
export function openSpan(
  name: string,
  { from, kind, attributes = {} }: SpanSettings,
): { readonly span: Span; within<T>(act: () => T): T } {
  const parent = from ? contextOf(from) : context.active();
  const span = tracer.startSpan(name, { attributes, ...(kind !== undefined && { kind }) }, parent);
  const active = trace.setSpan(parent, span);
  return { span, within: (act) => context.with(active, act) };
}

/** A span below the active one; none where nothing is traced. */
export function childSpan(name: string, attributes: Attributes): Span | undefined {
  return trace.getActiveSpan() && tracer.startSpan(name, { attributes });
}

/** A span for something that has taken so long and ends now. */
export function pastSpan(name: string, from: TraceHeaders | undefined, ms: number): void {
  if (!from) return;
  const nowMs = Date.now();
  tracer.startSpan(name, { startTime: nowMs - ms }, contextOf(from)).end(nowMs);
}

export function failSpan(span: Span, error: unknown): void {
  const { message } = error instanceof Error ? error : { message: String(error) };
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** What goes along with a message, so that its receiver goes on with the active trace. */
export function traceHeaders(): TraceHeaders {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** Ids of the active span, for lines of the log. */
export function traceIds(): { readonly trace_id?: string; readonly span_id?: string } {
  const ids = trace.getActiveSpan()?.spanContext();
  return ids ? { trace_id: ids.traceId, span_id: ids.spanId } : {};
}

function contextOf(headers: Readonly<Record<string, unknown>>): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}

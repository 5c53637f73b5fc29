import { create, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack, type Any } from '@bufbuild/protobuf/wkt';
import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from '@segue/contracts';
import { SegueError } from '@segue/core';

/** Trailer of a failed call that holds a google.rpc.Status with details, as clients in every language expect it. */
const DETAILS_KEY = 'grpc-status-details-bin';
/** Whose reasons an ErrorInfo names. */
const DOMAIN = 'segue';

/**
 * The gRPC status of an error. The whole error rides along as a google.rpc.Status: an ErrorInfo with its finer reason and
 * details, a RetryInfo when trying again makes sense, and a BadRequest that names the fields that are wrong.
 */
export function toStatus(error: unknown): StatusObject {
  const known = SegueError.from(error);
  const { grpcStatus: code, message } = known;
  const metadata = new Metadata();
  const status = create(StatusSchema, { code, message, details: detailsOf(known) });
  metadata.set(DETAILS_KEY, Buffer.from(toBinary(StatusSchema, status)));
  return { code, details: message, metadata };
}

function detailsOf({ code, reason, retryAfterMs, details: { fields, ...rest } }: SegueError): Any[] {
  const metadata = Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
  const details = [pack(ErrorInfoSchema, { reason: reason ?? code, domain: DOMAIN, metadata })];
  if (retryAfterMs !== undefined) {
    const seconds = Math.floor(retryAfterMs / 1000);
    const nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
    details.push(pack(RetryInfoSchema, { retryDelay: { seconds: BigInt(seconds), nanos } }));
  }
  if (Array.isArray(fields)) {
    const fieldViolations = (fields as { field: string; problem: string }[]).map(({ field, problem }) => ({
      field,
      description: problem,
    }));
    details.push(pack(BadRequestSchema, { fieldViolations }));
  }
  return details;
}

function pack<D extends DescMessage>(schema: D, value: MessageInitShape<D>): Any {
  return anyPack(schema, create(schema, value));
}

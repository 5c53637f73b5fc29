import type * as Sdk from '@aws-sdk/client-s3';
import { storeAway, storeFull, type Blobs } from '@segue/core';
import { codeOf, systemError } from './errors.js';
import { checkName, isName } from './names.js';
import { tryOut } from './try-out.js';
import { within } from './within.js';

/** Where a bucket is. Credentials come from the environment, as the SDK finds them. */
export interface S3Address {
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
  /** Of a service that is not Amazon's; buckets are in its paths then. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
}

const CONNECT_MS = 2_000;
/** Without a byte in either direction. */
const SILENCE_MS = 5_000;
/** The time that one attempt may take. */
const LONGEST_MS = 60_000;
const CONNECTIONS = 64;

/** Answers that pass with time; anything else below 500 is a defect, or a fault of the operator's. */
const PASSING_STATUS = new Set([408, 425, 429]);
const PASSING_NAMES = new Set([
  'CredentialsProviderError',
  'ExpiredToken',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'ThrottlingException',
  'TimeoutError',
  'TokenRefreshRequired',
]);
const FULL_NAMES = new Set(['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull']);
const FULL_STATUS = 507;
const NEVER_STATUS = 501;
const REGION_NAMES = new Set([
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
]);

/** Objects in a bucket of S3, or of what speaks its protocol. One request for each: S3 shows an object when it is complete. */
export class S3Blobs implements Blobs {
  readonly where: string;
  readonly #address: S3Address;
  readonly #sdk: typeof Sdk;
  readonly #client: Sdk.S3Client;

  private constructor(address: S3Address, sdk: typeof Sdk) {
    const { bucket, prefix, endpoint, region } = address;
    this.where = `s3://${bucket}/${prefix}`;
    this.#address = address;
    this.#sdk = sdk;
    this.#client = new sdk.S3Client({
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      // Who asks tries again, as long as there is time.
      maxAttempts: 1,
      // Not every service knows checksums in trailers, and what is read is compared with its own hash.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        socketTimeout: SILENCE_MS,
        httpAgent: { maxSockets: CONNECTIONS, keepAlive: true },
        httpsAgent: { maxSockets: CONNECTIONS, keepAlive: true },
      },
    });
  }

  /** Loads the SDK, which nobody else needs. */
  static async open(address: S3Address): Promise<S3Blobs> {
    return new S3Blobs(address, await import('@aws-sdk/client-s3'));
  }

  async put(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const object = { ...this.#object(name), Body: bytes, ContentLength: bytes.byteLength };
    await attempt(signal, (limit) => this.#client.send(new this.#sdk.PutObjectCommand(object), { abortSignal: limit }));
  }

  async get(name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    try {
      return await attempt(signal, async (limit) => {
        const command = new this.#sdk.GetObjectCommand(this.#object(name));
        const { Body: body } = await this.#client.send(command, { abortSignal: limit });
        const bytes = await body?.transformToByteArray();
        return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      });
    } catch (error) {
      if ((error as Error).name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  async delete(name: string): Promise<void> {
    await attempt(undefined, (limit) =>
      this.#client.send(new this.#sdk.DeleteObjectCommand(this.#object(name)), { abortSignal: limit }),
    );
  }

  async *list(): AsyncGenerator<readonly string[]> {
    const { bucket: Bucket, prefix: Prefix } = this.#address;
    let from: string | undefined;
    do {
      const page = new this.#sdk.ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: from });
      const { Contents: objects = [], NextContinuationToken: next } = await attempt(undefined, (limit) =>
        this.#client.send(page, { abortSignal: limit }),
      );
      yield objects.map(({ Key: key = '' }) => key.slice(Prefix.length)).filter(isName);
      from = next;
    } while (from !== undefined);
  }

  async problem(access: 'read' | 'write'): Promise<string | undefined> {
    try {
      await tryOut(this, access);
      return undefined;
    } catch (error) {
      return this.#sentence(((error as Error).cause ?? error) as Error, access);
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #object(name: string) {
    return { Bucket: this.#address.bucket, Key: this.#address.prefix + checkName(name) };
  }

  #sentence(cause: Error, access: 'read' | 'write'): string {
    const { bucket, endpoint } = this.#address;
    const at = endpoint === undefined ? '' : ` at ${endpoint}`;
    if (cause.name === 'NoSuchBucket')
      return `There is no bucket "${bucket}"${at}. Make it, or correct SEGUE_PICTURE_STORE.`;
    if (cause.name === 'CredentialsProviderError')
      return 'There are no credentials for S3. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this process a role.';
    if (REGION_NAMES.has(cause.name) || cause.message.startsWith('Region is missing'))
      return `The region of the bucket "${bucket}" is missing or wrong. Name it: SEGUE_PICTURE_STORE=s3://${bucket}?region=...`;
    if (statusOf(cause) === 403) {
      const rights = access === 'write' ? 's3:GetObject, s3:PutObject, s3:DeleteObject' : 's3:GetObject';
      return `The bucket "${bucket}"${at} refuses these credentials (${cause.name}). They need s3:ListBucket on it and ${rights} on its objects.`;
    }
    if (toError(cause) === cause)
      return `S3${at} answers ${cause.name}: ${cause.message}. Correct SEGUE_PICTURE_STORE.`;
    const why = codeOf(cause) || cause.name;
    return `S3${at} does not answer as it should (${why}). Look whether it runs, and at the way there.`;
  }
}

function attempt<T>(signal: AbortSignal | undefined, ask: (limit: AbortSignal) => Promise<T>): Promise<T> {
  return within(LONGEST_MS, signal, ask, toError);
}

function statusOf(error: Error): number {
  return (error as Partial<Sdk.S3ServiceException>).$metadata?.httpStatusCode ?? 0;
}

function toError(cause: unknown): unknown {
  const error = cause as Error;
  const status = statusOf(error);
  if (FULL_NAMES.has(error.name) || status === FULL_STATUS) return storeFull('pictures', error);
  const passes = (status >= 500 && status !== NEVER_STATUS) || PASSING_STATUS.has(status);
  return passes || PASSING_NAMES.has(error.name) ? storeAway(error) : systemError(error);
}

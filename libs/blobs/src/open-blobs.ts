import { fileURLToPath } from 'node:url';
import { SegueError, type Blobs } from '@segue/core';
import { FolderBlobs } from './folder.js';
import { PatientBlobs, type PatienceOptions } from './patient.js';
import { S3Blobs, type S3Address } from './s3.js';

/**
 * Opens what SEGUE_PICTURE_STORE names: `file:///folder`, or `s3://bucket/prefix?endpoint=...&region=...`. Asks nothing yet.
 * @returns undefined for `redis://`: pictures are kept there then.
 * @throws SegueError INVALID_ARGUMENT for what names neither.
 */
export async function openBlobs(address: string, patience: PatienceOptions): Promise<Blobs | undefined> {
  const url = new URL(address);
  switch (url.protocol) {
    case 'redis:':
      if (url.host || url.pathname || url.search)
        throw wrong('for pictures in Redis it is redis:// alone; SEGUE_REDIS_URL says where that is');
      return undefined;
    case 'file:':
      return new PatientBlobs(new FolderBlobs(folderOf(url)), patience);
    case 's3:':
      return new PatientBlobs(await S3Blobs.open(bucketOf(url)), patience);
    default:
      throw wrong('must begin with redis://, file:// or s3://');
  }
}

function folderOf(url: URL): string {
  if (url.host || url.search || url.hash || url.pathname === '/')
    throw wrong('a folder is named file:///its/path, with three slashes');
  return fileURLToPath(url);
}

function bucketOf({ host: bucket, pathname, searchParams, hash, username }: URL): S3Address {
  const known = ['endpoint', 'region'];
  if (!/^[\w.-]{3,}$/.test(bucket) || hash || username || [...searchParams.keys()].some((key) => !known.includes(key)))
    throw wrong(
      'a bucket is named s3://bucket/prefix?endpoint=...&region=..., of which only the bucket has to be there',
    );
  const endpoint = searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : ''))
    throw wrong('its endpoint must be a URL that begins with https:// or http://');
  const prefix = decodeURIComponent(pathname).replace(/^\/+|\/+$/g, '');
  return {
    bucket,
    prefix: prefix && `${prefix}/`,
    endpoint,
    region: searchParams.get('region') ?? undefined,
  };
}

function wrong(problem: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', `SEGUE_PICTURE_STORE: ${problem}.`);
}

import type { Blobs } from '@segue/core';

/** What is put and deleted again to see whether a store can be used. */
const TRIED = '00/tried';

/** @throws what keeps it from being read or written. */
export async function tryOut(blobs: Pick<Blobs, 'put' | 'get' | 'delete'>, access: 'read' | 'write'): Promise<void> {
  if (access === 'write') await blobs.put(TRIED, Buffer.from('segue'));
  await blobs.get(TRIED);
  if (access === 'write') await blobs.delete(TRIED);
}

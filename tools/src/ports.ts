import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Advice, step } from './terminal.js';

const MAX_PORT = 65_535;

/** A free TCP port of this machine; the system's choice when `wanted` is 0. Undefined when `wanted` is taken. */
export async function freePort(wanted = 0): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(wanted, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  } finally {
    server.close();
  }
}

/** Any free TCP port. */
export async function anyPort(): Promise<number> {
  const port = await freePort();
  if (port === undefined) throw new Advice('This machine has no free TCP port.');
  return port;
}

/**
 * The port that people connect to: the variable's when set (then it must be free), else the usual one, else any free one.
 */
export async function publicPort(variable: string, usual: number, what: string): Promise<number> {
  const asked = process.env[variable];
  if (asked && !(/^\d+$/.test(asked) && Number(asked) <= MAX_PORT)) {
    throw new Advice(`${variable} is "${asked}". Set it to a port, a number up to ${MAX_PORT}.`);
  }
  const port = await freePort(asked ? Number(asked) : usual);
  if (port !== undefined) return port;
  if (asked) {
    throw new Advice(
      `Port ${asked} is taken by another program. Stop it, or set ${variable} to a free port for ${what}.`,
    );
  }
  const other = await anyPort();
  step(`Port ${usual} is taken; ${what} gets ${other} instead (set ${variable} to choose)`);
  return other;
}

import { freePort } from '@segue/local-system';
import { Advice, step } from './terminal.js';

const MAX_PORT = 65_535;

/**
 * The port that people connect to: the variable's when set (then it must be free), else the usual one, else any free one.
 */
export async function publicPort(variable: string, usual: number, what: string): Promise<number> {
  const asked = process.env[variable];
  if (asked && !(/^\d+$/.test(asked) && Number(asked) <= MAX_PORT)) {
    throw new Advice(`${variable} is "${asked}". Set it to a port, a number up to ${MAX_PORT}.`);
  }
  const wanted = asked ? Number(asked) : usual;
  const port = await freePort({ port: wanted, host: '127.0.0.1' });
  if (port === wanted || wanted === 0) return port;
  if (asked) {
    throw new Advice(
      `Port ${asked} is taken by another program. Stop it, or set ${variable} to a free port for ${what}.`,
    );
  }
  step(`Port ${usual} is taken; ${what} gets ${port} instead (set ${variable} to choose)`);
  return port;
}

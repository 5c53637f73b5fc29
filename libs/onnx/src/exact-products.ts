import { readFileSync } from 'node:fs';

/**
 * Whether this CPU multiplies unsigned by signed 8-bit numbers exactly. x86 does from VNNI on; before, pairs of products are
 * added in 16 bits, where they overflow, and ONNX Runtime has to be asked for another way (`session.x64quantprecision`).
 * @param arch as `process.arch`
 * @param cpuinfo Linux' description of the CPU; fails elsewhere
 */
export function hasExactProducts(
  arch: string = process.arch,
  cpuinfo = () => readFileSync('/proc/cpuinfo', 'utf8'),
): boolean {
  if (arch !== 'x64') return true;
  try {
    return /_vnni\b/.test(cpuinfo());
  } catch {
    return false; // The other way is slower, but right everywhere.
  }
}

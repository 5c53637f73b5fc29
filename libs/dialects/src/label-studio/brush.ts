import { decodeMask, type RunLengthMask } from '@segue/core';

/*
 * Label Studio keeps brush strokes as an RGBA picture under the packing of thi.ng's rle-pack: a header (32 bits: number of
 * values; 5 bits: bits of a value less 1; four times 4 bits: sizes of run lengths less 1), then runs (1; 2 bits: which size;
 * length less 1; value) and literals (0; 2 bits; length less 1; values).
 * https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack
 */

const VALUE_BITS = 8;
/** A run in a mask is of four equal values at least: short runs take little, and 16 bits hold most lines of pixels. */
const SIZES = [4, 8, 12, 16] as const;
const CHANNELS = 4;
const [NOTHING, PAINTED] = [0, 255];

/** A mask as Label Studio's brush has it: bytes that go into `value.rle` as numbers. */
export function toBrush(mask: RunLengthMask): number[] {
  const pixels = decodeMask(mask);
  const out = new BitWriter();
  out.write(pixels.length * CHANNELS, 32);
  out.write(VALUE_BITS - 1, 5);
  for (const size of SIZES) out.write(size - 1, 4);
  for (let from = 0; from < pixels.length;) {
    let to = from + 1;
    while (to < pixels.length && pixels[to] === pixels[from]) to++;
    writeRun(out, (to - from) * CHANNELS, pixels[from] ? PAINTED : NOTHING);
    from = to;
  }
  return out.bytes();
}

function writeRun(out: BitWriter, length: number, value: number): void {
  const longest = 2 ** (SIZES.at(-1) ?? 0);
  for (let left = length; left > 0;) {
    const part = Math.min(left, longest);
    const which = SIZES.findIndex((size) => part <= 2 ** size);
    out.write(1, 1);
    out.write(which, 2);
    out.write(part - 1, SIZES[which] ?? 0);
    out.write(value, VALUE_BITS);
    left -= part;
  }
}

/** Bits from the highest to the lowest. */
class BitWriter {
  readonly #bytes: number[] = [];
  #byte = 0;
  #free = 8;

  write(value: number, bits: number): void {
    for (let bit = bits - 1; bit >= 0; bit--) {
      // No shift: 32 bits would be a negative number.
      this.#byte = (this.#byte << 1) | (Math.floor(value / 2 ** bit) % 2);
      if (--this.#free > 0) continue;
      this.#bytes.push(this.#byte);
      [this.#byte, this.#free] = [0, 8];
    }
  }

  bytes(): number[] {
    return this.#free === 8 ? this.#bytes : [...this.#bytes, this.#byte << this.#free];
  }
}

/** Ids of the control tokens of {@link byteTokenizer}; ids below 256 are bytes. */
export const BYTE_TOKENS = { start: 256, end: 257, seg: 258, image: 259 } as const;

const CONTROL_TOKENS = [
  { id: BYTE_TOKENS.start, content: '<|im_start|>', special: true },
  { id: BYTE_TOKENS.end, content: '<|im_end|>', special: true },
  { id: BYTE_TOKENS.seg, content: '<SEG>', special: false },
  { id: BYTE_TOKENS.image, content: '<image>', special: true },
];

/** A `tokenizer.json` in which every byte of UTF-8 is a token of its own. */
export function byteTokenizer(): object {
  const bytes = Array.from({ length: 256 }, (_, byte): [string, number] => [byteSymbol(byte), byte]);
  const control = CONTROL_TOKENS.map(({ id, content }): [string, number] => [content, id]);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: CONTROL_TOKENS.map((token) => ({
      ...token,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...bytes, ...control]),
      merges: [],
    },
  };
}

/** The printable stand-in that byte-level tokenizers write for a byte. */
function byteSymbol(byte: number): string {
  if (isPrintable(byte)) return String.fromCharCode(byte);
  const unprintable = Array.from({ length: byte }, (_, other) => other).filter((other) => !isPrintable(other));
  return String.fromCharCode(256 + unprintable.length);
}

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

import type { Exchange } from '../service/bodies.js';

/** A request as code repeats it. */
export interface Asked {
  /** Where the service is, ending in a slash. */
  readonly service: string;
  readonly fileName: string;
  readonly instruction: string;
  readonly history: readonly Exchange[];
}

/** The same question in other languages. Each reads the picture from the folder it is run in. */
export const CODE = {
  curl({ service, fileName, instruction, history }: Asked): string {
    const fields = [`image=@"${fileName}"`, `instruction=${instruction}`, ...historyField(history)];
    // --form-string takes a text as it is, whatever it begins with.
    const options = fields.map((field, at) => `  ${at === 0 ? '-F' : '--form-string'} ${shellQuoted(field)}`);
    return [`curl -s ${shellQuoted(`${service}v1/segment`)}`, ...options].join(' \\\n');
  },
  TypeScript({ service, fileName, instruction, history }: Asked): string {
    return [
      "import { openAsBlob } from 'node:fs';",
      '',
      'const form = new FormData();',
      `form.set('image', await openAsBlob(${JSON.stringify(fileName)}), 'picture');`,
      `form.set('instruction', ${JSON.stringify(instruction)});`,
      ...(history.length > 0 ? [`form.set('history', JSON.stringify(${JSON.stringify(history)}));`] : []),
      `const response = await fetch(${JSON.stringify(`${service}v1/segment`)}, { method: 'POST', body: form });`,
      'const { text, segments } = await response.json();',
      'console.log(text, segments);',
    ].join('\n');
  },
  Python({ service, fileName, instruction, history }: Asked): string {
    const turns = history.length > 0 ? `, "history": json.dumps(${JSON.stringify(history)})` : '';
    return [
      ...(turns === '' ? [] : ['import json', '']),
      'import requests',
      '',
      'answer = requests.post(',
      `    ${JSON.stringify(`${service}v1/segment`)},`,
      `    files={"image": open(${JSON.stringify(fileName)}, "rb")},`,
      `    data={"instruction": ${JSON.stringify(instruction)}${turns}},`,
      ').json()',
      'print(answer["text"], answer["segments"])',
    ].join('\n');
  },
} as const;

export type Language = keyof typeof CODE;

function historyField(history: readonly Exchange[]): string[] {
  return history.length > 0 ? [`history=${JSON.stringify(history)}`] : [];
}

/** POSIX shell: nothing is special between single quotes. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

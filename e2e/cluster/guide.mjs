// node guide.mjs N: prints the commands of step N of docs/guides/kubernetes.md, so that the tests run what the guide says.
import { readFileSync } from 'node:fs';

const guide = readFileSync(new URL('../../docs/guides/kubernetes.md', import.meta.url), 'utf8');
const step = guide.split(/^## /m).find((section) => section.startsWith(`${process.argv[2]}. `));
const commands = step?.match(/^```sh\n(.*?)^```$/ms)?.[1];
if (!commands) throw new Error(`the guide has no commands of a step ${process.argv[2]}`);
process.stdout.write(commands);

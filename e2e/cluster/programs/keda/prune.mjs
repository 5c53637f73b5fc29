// prune.mjs FOLDER: leaves out of KEDA, whose source the folder holds, the triggers that nothing here uses. The SDKs of the clouds
// behind them are most of what there is to compile.
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const keda = join(process.argv[2], 'pkg');
const TRIGGERS = ['cpu', 'memory', 'metrics-api'];
const KEPT = ['cpu_memory_scaler.go', 'metrics_api_scaler.go', 'scaler.go', 'hashicorpvault_handler.go'];

function remove(folder, ending) {
  for (const name of readdirSync(join(keda, folder)))
    if (name.endsWith(ending) && !KEPT.includes(name)) rmSync(join(keda, folder, name));
}
remove('scalers', '_scaler.go');
remove('scalers/azure', '.go');
remove('scaling/resolver', '_handler.go');
remove('eventemitter', '_topic_handler.go');
// What the rest still names.
for (const folder of ['scalers', 'scalers/azure', 'scaling/resolver', 'eventemitter']) {
  const source = `${folder.split('/').at(-1)}.go.txt`;
  copyFileSync(join(import.meta.dirname, 'left-out', source), join(keda, folder, 'left_out.go'));
}
const builder = join(keda, 'scaling/scalers_builder.go');
const cases = /\tcase "([\w-]+)".*:\n(?:\t\t.*\n)+/g;
const kept = (text, name) => (TRIGGERS.includes(name) ? text : '');
writeFileSync(builder, readFileSync(builder, 'utf8').replace(cases, kept));

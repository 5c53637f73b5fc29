import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { askAbout } from './question.js';
import { runCommand } from './terminal.js';
import { ADDRESS_FILE } from './workspace.js';

const USUAL_ADDRESS = 'http://127.0.0.1:8080';

const command = new Command('npm run ask --')
  .description('Asks a running service about a photo and writes PHOTO.overlay.png beside it.')
  .argument('<photo>', 'a JPEG, PNG or WebP file')
  .argument('<question>', 'what to find, in words')
  .option('--url <url>', 'HTTP address of the service (default: the one that npm start runs)')
  .parse();

await runCommand(async () => {
  const [photo = '', question = ''] = command.args;
  const { url = runningService() } = command.opts<{ url?: string }>();
  // npm changes to the repository's root; a relative path is meant from where the person stands.
  await askAbout(url, resolve(process.env['SEGUE_CALLED_FROM'] ?? '.', photo), question, true);
  return 0;
});

function runningService(): string {
  return existsSync(ADDRESS_FILE) ? readFileSync(ADDRESS_FILE, 'utf8') : USUAL_ADDRESS;
}

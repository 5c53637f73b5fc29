import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { usePage, withoutBrowser } from './page-driver.js';
import { MANY_SEGMENTS, WIDE } from './pictures.js';

const KEY = 'a-key-of-this-test-alone';
const folder = mkdtempSync(join(tmpdir(), 'segue-keys-'));
const keysFile = join(folder, 'keys.json');
const sha256 = createHash('sha256').update(KEY).digest('hex');
writeFileSync(keysFile, JSON.stringify({ tenants: { acme: { keys: [{ name: 'key-1', sha256 }] } } }));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(withoutBrowser)('the page of a service that wants keys', () => {
  const fixture = usePage({ env: { SEGUE_API_KEYS_FILE: keysFile, SEGUE_ALLOW_PLAINTEXT: 'true' } });

  it('asks for one, refuses a wrong one, sends it, and keeps it over a reload', async () => {
    const { driver } = fixture;
    const { page } = driver;
    await page.locator('#key').waitFor();
    await page.fill('#api-key', 'not-a-key');
    await page.press('#api-key', 'Enter');
    await driver.show(WIDE);
    await driver.type(MANY_SEGMENTS);
    await page.locator('.turn.failed').waitFor();
    await page.locator('#key').waitFor();

    await page.fill('#api-key', KEY);
    await page.press('#api-key', 'Enter');
    await page.locator('#key').waitFor({ state: 'detached' });
    expect(await (await driver.ask(MANY_SEGMENTS)).locator('.answer').textContent()).not.toBe('');

    await page.reload();
    await driver.show(WIDE);
    // The conversation of before is shown until the picture is there.
    await expect.poll(() => page.locator('.turn').count()).toBe(0);
    await driver.ask(MANY_SEGMENTS);
    expect(await page.locator('#key').count()).toBe(0);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findProgram } from '@segue/local-system';
import { ROOT } from './workspace.js';

const FOLDER = join(ROOT, 'k8s/components/monitoring');

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: { readonly runbook: string };
}
interface Dashboard {
  readonly panels: { readonly title: string; readonly targets?: { readonly expr: string }[] }[];
}

const { spec } = parse(readFileSync(join(FOLDER, 'rules.yaml'), 'utf8')) as { spec: { groups: { rules: Rule[] }[] } };
const rules = spec.groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(join(FOLDER, 'dashboard.json'), 'utf8')) as Dashboard;
const queries = [...rules, ...dashboard.panels.flatMap(({ targets = [] }) => targets)].map(({ expr }) => expr);

const promtool = findProgram(['promtool']);
if (!promtool) console.log('The alerts are not tried: promtool (of Prometheus) is not on the PATH.');

describe('rules and dashboard', () => {
  it('ask for metrics that the apps have', () => {
    const sources = execFileSync('git', ['grep', '--only-matching', '-h', "'segue_[a-z_]*'", '--', 'apps', 'libs'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const declared = new Set(sources.split('\n').map((name) => name.slice(1, -1)));
    const asked = queries.flatMap((query) => query.match(/\bsegue_\w+/g) ?? []);
    const unknown = asked.filter(
      (name) => !declared.has(name) && !declared.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(asked).not.toEqual([]);
    expect(unknown).toEqual([]);
  });

  it('ask for recorded series that are recorded', () => {
    const recorded = rules.flatMap(({ record }) => record ?? []);
    const asked = queries.flatMap((query) => query.match(/\bsegue:[\w:]+/g) ?? []);
    expect(recorded).toEqual(expect.arrayContaining(asked));
  });

  it('have an entry in the runbook for every alert', () => {
    const runbook = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
    const headings = [...runbook.matchAll(/^### (\w+)$/gm)].map(([, heading = '']) => heading);
    expect(headings.sort()).toEqual(rules.flatMap(({ alert }) => alert ?? []).sort());
    for (const { alert = '', annotations } of rules.filter(({ alert }) => alert !== undefined))
      expect(annotations?.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
  });

  it.skipIf(!promtool)('record and fire as they should', () => {
    const temporary = mkdtempSync(join(tmpdir(), 'segue-rules-'));
    try {
      writeFileSync(join(temporary, 'rules.json'), JSON.stringify(spec));
      copyFileSync(join(FOLDER, 'rules.test.yaml'), join(temporary, 'rules.test.yaml'));
      const { stdout, stderr } = spawnSync(promtool ?? '', ['test', 'rules', 'rules.test.yaml'], {
        cwd: temporary,
        encoding: 'utf8',
      });
      expect(stdout + stderr).toContain('SUCCESS');
    } finally {
      rmSync(temporary, { recursive: true });
    }
  });
});

// Writes down how each task of an Nx run ended, for `npm test` to count.
import { writeFileSync } from 'node:fs';

export const name = 'segue-results';

/** @type {import('nx/src/devkit-exports').PostTasksExecution} */
export function postTasksExecution(_options, { taskResults }) {
  const file = process.env.SEGUE_TASK_RESULTS;
  if (!file) return;
  const ended = Object.values(taskResults).map(({ task, status }) => ({
    ...task.target,
    root: task.projectRoot,
    status,
  }));
  writeFileSync(file, JSON.stringify(ended));
}

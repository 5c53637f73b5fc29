/** The address of a conversation names its jobs, oldest first: `#job=…&job=…`. The part behind # is sent to no server. */
export function linkTo(jobIds: readonly string[]): string {
  const fragment = new URLSearchParams(jobIds.map((id) => ['job', id])).toString();
  return `${location.pathname}${location.search}${fragment === '' ? '' : `#${fragment}`}`;
}

export function jobsOfLink(fragment: string): string[] {
  return new URLSearchParams(fragment.replace(/^#/, '')).getAll('job').filter((id) => /^[\w-]+$/.test(id));
}

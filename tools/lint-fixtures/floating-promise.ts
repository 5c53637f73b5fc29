// as: libs/core/src/index.ts
// breaks: @typescript-eslint/no-floating-promises
export function start(work: () => Promise<void>): void {
  work();
}

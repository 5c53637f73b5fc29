// as: libs/core/src/index.ts
// breaks: @typescript-eslint/no-explicit-any
export const anything: any = 1;

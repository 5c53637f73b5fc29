// as: libs/core/src/index.ts
// breaks: no-console
console.log('not a log');

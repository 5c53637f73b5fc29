import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier/flat';
import vitest from '@vitest/eslint-plugin';
import tseslint from 'typescript-eslint';

/** What the pure layers stay free of, so that they run without a queue, a server, a native library or a framework. */
const FRAMEWORKS = [
  '@fastify/*',
  '@grpc/*',
  '@nestjs/*',
  'bullmq',
  'fastify',
  'grpc-health-check',
  'ioredis',
  'onnxruntime-node',
  'pino',
  'prom-client',
  'sharp',
];

/** Each layer, the layers it may import besides itself, and the packages it may not: the arrows of docs/architecture.md. */
const LAYERS = [
  { layer: 'contract', imports: [], banned: FRAMEWORKS },
  { layer: 'core', imports: ['contract'], banned: FRAMEWORKS },
  { layer: 'stage', imports: ['core', 'contract'], banned: FRAMEWORKS },
  { layer: 'base', imports: ['core', 'contract'], banned: ['@nestjs/*', '@fastify/*', 'fastify', 'bullmq', 'sharp'] },
  {
    layer: 'adapter',
    alone: true,
    imports: ['base', 'stage', 'core', 'contract'],
    banned: ['@nestjs/*', '@fastify/*', 'fastify'],
  },
  { layer: 'kit', imports: ['adapter', 'base', 'stage', 'core', 'contract'], banned: [] },
  { layer: 'app', alone: true, imports: ['kit', 'adapter', 'base', 'stage', 'core', 'contract'], banned: [] },
  { layer: 'public', imports: ['core', 'contract'], banned: ['@nestjs/*', 'bullmq', 'ioredis', 'onnxruntime-node'] },
  // Starts the apps as programs: it knows their settings, not their code.
  { layer: 'local', imports: [], banned: FRAMEWORKS.filter((name) => name !== 'ioredis') },
  { layer: 'tool', imports: ['local', 'public', 'kit', 'adapter', 'base', 'stage', 'core', 'contract'], banned: [] },
  { layer: 'testing', imports: ['local', 'public', 'kit', 'adapter', 'base', 'stage', 'core', 'contract'], banned: [] },
];

const depConstraints = LAYERS.map(({ layer, alone = false, imports, banned }) => ({
  sourceTag: `layer:${layer}`,
  onlyDependOnLibsWithTags: (alone ? imports : [layer, ...imports]).map((name) => `layer:${name}`),
  bannedExternalImports: banned,
}));

const noEnvironment = {
  object: 'process',
  property: 'env',
  message: 'Only the config of @segue/service reads the environment: declare the variable there and pass its value on.',
};

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/',
      '**/dist/',
      '**/coverage/',
      '.nx/',
      '.segue/',
      'libs/contracts/src/gen/',
      'models/',
      'libs/page/{vite,vitest}.config.ts',
      'tools/lint-fixtures/',
      'training/',
    ],
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strict],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { project: './tsconfig.spec.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@nx/enforce-module-boundaries': ['error', { depConstraints }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      'no-restricted-imports': [
        'error',
        {
          paths: [
            { name: 'process', message: "Use the global 'process'." },
            { name: 'node:process', importNames: ['env'], message: noEnvironment.message },
          ],
        },
      ],
      'no-restricted-properties': ['error', noEnvironment],
    },
  },
  {
    // The page has the browser's types, and none of Node's.
    files: ['libs/page/**/*.ts', 'libs/page/**/*.tsx'],
    languageOptions: { parserOptions: { project: './libs/page/tsconfig.json' } },
    rules: { 'no-console': ['error', { allow: ['error'] }] },
  },
  {
    // Nest reads constructor parameter types at run time, so an injected class must not become a type-only import.
    files: ['apps/*/src/**/*.ts', 'libs/service/src/**/*.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  {
    // What is private is so at run time too, and looks the same everywhere. (A constructor cannot be `#`.)
    files: ['apps/**/*.ts', 'libs/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ':matches(PropertyDefinition, TSParameterProperty, MethodDefinition[kind!="constructor"])[accessibility="private"]',
          message: 'Write #name.',
        },
      ],
    },
  },
  {
    // Specs may use anything but an app: real adapters behind a stage's ports, and @segue/testing.
    files: ['**/*.spec.ts', '**/*.fixture.ts'],
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          depConstraints: [{ sourceTag: '*', notDependOnLibsWithTags: ['layer:app'] }],
          ignoredCircularDependencies: [['@segue/testing', '*']],
        },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines': 'off',
    },
  },
  {
    // A test that cannot fail is not a test.
    files: ['**/*.spec.ts'],
    plugins: { vitest },
    rules: {
      'vitest/expect-expect': [
        'error',
        {
          assertFunctionNames: [
            'expect*',
            'expect.**',
            '**.expect*',
            'problem',
            'refused',
            'refuses',
            'until',
            'becomes',
          ],
        },
      ],
      'vitest/no-conditional-expect': 'error',
      'vitest/no-disabled-tests': 'error',
      'vitest/no-focused-tests': 'error',
      'vitest/no-identical-title': 'error',
      'vitest/no-standalone-expect': ['error', { additionalTestBlockFunctions: ['afterEach', 'beforeEach'] }],
      'vitest/valid-expect-in-promise': 'error',
    },
  },
  {
    // Loops over pixels and tensors index typed arrays within bounds that the compiler cannot see.
    files: ['libs/imaging/src/**/*.ts', 'libs/tensors/src/**/*.ts', 'libs/core/src/{paint,palette,polygon}.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    // It gives the environment to the apps that it starts.
    files: ['libs/local-system/src/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    // The benchmark and the proofs are programs that start others, and talk to a terminal.
    files: ['bench/src/**/*.ts', 'proofs/src/**/*.ts'],
    rules: { 'no-console': 'off', 'no-restricted-properties': 'off' },
  },
  {
    files: ['libs/service/src/config*.ts', 'libs/service/src/config/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    // The command line asks the terminal what it can show.
    files: ['libs/cli/src/preview.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    // Programs of the workspace itself: they pass their environment on to what they start, and talk to a terminal.
    files: ['tools/src/**/*.ts', 'e2e/**/*.ts', 'libs/testing/src/**/*.ts'],
    rules: { 'no-console': 'off', 'no-restricted-properties': 'off' },
  },
  { files: ['**/vitest.config.ts', 'vitest.*.ts'], rules: { '@nx/enforce-module-boundaries': 'off' } },
  prettier,
);

import tseslint from 'typescript-eslint';

/** Who may import whom (docs/decisions/0001): `lib` ← node behaviour ← `adapter` and entries; nothing below `runtime`. */
const layer = (files, patterns, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: patterns, message }] }] },
});

export default tseslint.config(
  { ignores: ['dist/', 'runtime/dist/', 'node_modules/', '.sluice/', '**/*.js'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: [
          './tsconfig.json',
          './nodes/tsconfig.json',
          './nodes/editor/tsconfig.json',
          './runtime/tsconfig.json',
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A behaviour may answer at once or later; `void | Promise<void>` says so.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // Types are structural: an Ajv2020 is an Ajv.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // What is taken out of an object to leave it out of the rest, or is a place in a signature.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { ignoreRestSiblings: true, argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      'no-empty': ['error', { allowEmptyCatch: false }],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', name: ['describe', 'it'], package: 'mocha' }] },
      ],
    },
  },
  layer(
    ['nodes/**/*.ts'],
    ['**/runtime/**', '@sluice/runtime', '@sluice/runtime/**'],
    'the palette never imports the runtime',
  ),
  layer(
    ['nodes/lib/**/*.ts'],
    ['../../*', '../adapter/**', '../editor/**', 'mqtt', 'mongodb', '@aws-sdk/*'],
    'lib is pure: no RED, no network client, nothing from a node',
  ),
);

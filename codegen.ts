import type { CodegenConfig } from '@graphql-codegen/cli'

const scalars = { DateTime: 'string', Month: 'string', SafeInt: 'number' }
const shared = {
  useTypeImports: true,
  enumsAsTypes: true,
  emitLegacyCommonJSImports: false,
  importExtension: '.ts' as const,
  scalars,
  defaultScalarType: 'unknown',
}

const config: CodegenConfig = {
  schema: 'schema.graphql',
  ignoreNoDocuments: true,
  generates: {
    'test/support/generated/': {
      documents: ['test/**/*.ts'],
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: { ...shared, documentMode: 'string' },
    },
    // The client area's cache needs parsed documents, so they are parsed here and not in the browser.
    'web/src/generated/': {
      documents: ['web/src/**/*.graphql'],
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: shared,
    },
  },
}

export default config

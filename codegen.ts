import type { CodegenConfig } from '@graphql-codegen/cli'

const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/**/*.ts'],
  ignoreNoDocuments: true,
  generates: {
    'test/support/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: 'string',
        useTypeImports: true,
        enumsAsTypes: true,
        emitLegacyCommonJSImports: false,
        importExtension: '.ts',
        scalars: { DateTime: 'string', Month: 'string', SafeInt: 'number' },
        defaultScalarType: 'unknown',
      },
    },
  },
}

export default config

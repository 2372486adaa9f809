import { defineConfig } from 'prisma/config'

// `prisma generate` looks for a schema engine that it never runs, and downloads it if it is missing. Any executable
// satisfies it, so that the build works offline. `prisma migrate` still uses the real engine.
if (process.argv.includes('generate')) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  ...(process.env.DATABASE_URL ? { datasource: { url: process.env.DATABASE_URL } } : {}),
})

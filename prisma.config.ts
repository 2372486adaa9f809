import { defineConfig } from 'prisma/config'

// `prisma generate` looks for a schema engine that it never runs and would download it. Any executable
// satisfies the look-up, so that installing works offline; `prisma migrate` still gets the real one.
if (process.argv.includes('generate')) process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  ...(process.env.DATABASE_URL ? { datasource: { url: process.env.DATABASE_URL } } : {}),
})

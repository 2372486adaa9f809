// Files that are read at run time. This module lies in src/ and is bundled into a file of dist/, so that a path
// relative to it holds in both. No other module of the bundle uses import.meta.url.
const fromHere = (path: string) => new URL(path, import.meta.url)

/** Prisma's migrations, a folder each. */
export const migrationsDirectory = fromHere('../prisma/migrations/')

/** The catalogue that an empty database is filled from unless CATALOGUE names another. */
export const defaultCatalogue = fromHere('../prisma/catalogue.json')

/** The client area as `npm run build:web` makes it. */
export const clientAreaDirectory = fromHere('../dist/client-area/')

/** The script of the thread that runs the embedded database. */
export const embeddedWorker = fromHere('./storage/embedded-worker.js')

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Catalogue } from '../domain/catalogue.ts'
import { catalogueRule } from '../domain/catalogue.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'

/** DEFAULT_PLAN does not name a plan of the database. */
export class UnknownDefaultPlanError extends Error {}

/** The file to seed from cannot be read or is not a catalogue. */
export class CatalogueFileError extends Error {}

/**
 * Fills a database without plans from a catalogue file. Returns whether it did. Servers that start at the same time may
 * all do it, because they write the same rows.
 * @throws CatalogueFileError
 */
export async function seedCatalogue(
  prisma: PrismaClient,
  catalogue: Catalogue,
  file: string | URL,
): Promise<boolean> {
  if ((await prisma.plan.count()) > 0) return false
  const { plans, apiCalls } = await readCatalogue(file)
  // Plans come last: without one, an interrupted seeding starts again.
  for (const apiCall of apiCalls) await catalogue.saveApiCall(apiCall)
  for (const plan of plans) await catalogue.savePlan(plan)
  return true
}

async function readCatalogue(file: string | URL) {
  try {
    return catalogueRule.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    const reason =
      cause instanceof z.ZodError
        ? cause.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join(' ')
        : (cause as Error).message
    throw new CatalogueFileError(`CATALOGUE: ${file} is no catalogue that can be read. ${reason}`, { cause })
  }
}

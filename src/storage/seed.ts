import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { type ApiCallInput, type Catalogue, catalogueRule } from '../domain/catalogue.ts'
import { InvalidInputError } from '../errors.ts'
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
  for (const apiCall of apiCalls) await saveApiCall(catalogue, apiCall, file)
  for (const plan of plans) await catalogue.savePlan(plan)
  return true
}

/** Two API calls of the file may have the same method and path. */
async function saveApiCall(catalogue: Catalogue, apiCall: ApiCallInput, file: string | URL): Promise<void> {
  try {
    await catalogue.saveApiCall(apiCall)
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw unreadable(file, `${apiCall.name}: ${cause.message}`, cause)
  }
}

async function readCatalogue(file: string | URL) {
  try {
    return catalogueRule.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    const reason =
      cause instanceof z.ZodError
        ? cause.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join(' ')
        : (cause as Error).message
    throw unreadable(file, reason, cause)
  }
}

function unreadable(file: string | URL, reason: string, cause: unknown): CatalogueFileError {
  return new CatalogueFileError(`CATALOGUE: ${file} is no catalogue that can be read. ${reason}`, { cause })
}

import { readFile } from 'node:fs/promises'
import type { Catalogue } from '../domain/catalogue.ts'
import { catalogueRule } from '../domain/catalogue.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'

/** Where the catalogue is that comes with Latchkey. */
export const defaultCatalogue = new URL('../../prisma/catalogue.json', import.meta.url)

/**
 * Fills a database that holds no plan from a catalogue file. Returns whether it did. Servers that start at
 * the same time may both do it: what they write is the same.
 * @throws where the file cannot be read or is no catalogue
 */
export async function seedCatalogue(
  prisma: PrismaClient,
  catalogue: Catalogue,
  file: string | URL,
): Promise<boolean> {
  if ((await prisma.plan.count()) > 0) return false
  const { plans, apiCalls } = catalogueRule.parse(JSON.parse(await readFile(file, 'utf8')))
  // Plans come last: while there is none, an interrupted seeding begins anew.
  for (const apiCall of apiCalls) await catalogue.saveApiCall(apiCall)
  for (const plan of plans) await catalogue.savePlan(plan)
  return true
}

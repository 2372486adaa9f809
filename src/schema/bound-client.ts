import type { PrismaClient } from '../generated/prisma/client.ts'
import type { Share } from './share.ts'

type Find = (args: unknown) => Promise<unknown>
type Delegates = Record<string, { findFirst: Find; findFirstOrThrow: Find }>

/**
 * A client whose every statement takes its turn in the owner's share of the database connections.
 *
 * Prisma joins the `findUnique`s of one turn of the event loop into one statement, whoever they belong to: one
 * operation's failure would be another account's. It does not join `findFirst`s.
 */
export function boundClient(prisma: PrismaClient, share: Pick<Share, 'statement'>): PrismaClient {
  const delegates = prisma as unknown as Delegates
  return prisma.$extends({
    query: {
      $allOperations({ model, operation, args, query }) {
        const delegate = delegates[`${model?.[0]?.toLowerCase()}${model?.slice(1)}`]
        return share.statement<unknown>(() => {
          if (delegate && operation === 'findUnique') return delegate.findFirst(args)
          if (delegate && operation === 'findUniqueOrThrow') return delegate.findFirstOrThrow(args)
          return query(args)
        })
      },
    },
  }) as unknown as PrismaClient
}

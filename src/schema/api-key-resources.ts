import type { ResourcesOfType } from '../domain/metering/decision.ts'
import { builder } from './builder.ts'

export const ApiKeyResources = builder.objectRef<ResourcesOfType>('ApiKeyResources').implement({
  description: 'Resources of one type that a key may touch.',
  fields: (t) => ({
    type: t.exposeString('type', { description: 'The type, as the SaaS calls it.' }),
    ids: t.exposeStringList('ids', {
      nullable: true,
      description: 'Their ids, as the SaaS gives them; null for all of the type.',
    }),
  }),
})

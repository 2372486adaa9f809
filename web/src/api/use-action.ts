import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { useRef, useState } from 'react'
import { type AnyVariables, useClient } from 'urql'
import { type Problem, problemOf, refusalOf } from './problem.ts'

/** The mutation's result union: a payload, or a refusal. */
type ResultOf<Data> = Exclude<Data[keyof Data], 'Mutation' | undefined>
type DoneOf<Result> = Extract<Result, { __typename: `${string}Payload` }>

export interface Action<Data, Variables> {
  /** Resolves to the payload, or to null after a refusal or error; `problem` is set then. */
  run(variables: Variables): Promise<DoneOf<ResultOf<Data>> | null>
  isUnderWay: boolean
  problem: Problem | null
  /** Clears the problem. */
  reset(): void
}

/** A mutation with one field. Ignored while an earlier one is in progress. */
export function useAction<Data extends object, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
): Action<Data, Variables> {
  const client = useClient()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isUnderWay, setUnderWay] = useState(false)
  const underWay = useRef(false)
  return {
    async run(variables) {
      if (underWay.current) return null
      underWay.current = true
      setUnderWay(true)
      setProblem(null)
      const { data, error } = await client.mutation(document, variables)
      underWay.current = false
      setUnderWay(false)
      if (error || !data) {
        if (error) setProblem(problemOf(error))
        return null
      }
      const result = Object.values(data).find((value) => typeof value === 'object') as { __typename: string }
      if (result.__typename.endsWith('Payload')) return result as DoneOf<ResultOf<Data>>
      setProblem(refusalOf(result as Parameters<typeof refusalOf>[0]))
      return null
    },
    isUnderWay,
    problem,
    reset: () => setProblem(null),
  }
}

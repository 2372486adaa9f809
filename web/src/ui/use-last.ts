import { useRef } from 'react'

/** The last value that was neither null nor undefined. */
export function useLast<Value>(value: Value | null | undefined): Value | undefined {
  const last = useRef<Value | undefined>(undefined)
  last.current = value ?? last.current
  return last.current
}

import { useRef } from 'react'

/** What a value was when it last was something. */
export function useLast<Value>(value: Value | null | undefined): Value | undefined {
  const last = useRef<Value | undefined>(undefined)
  last.current = value ?? last.current
  return last.current
}

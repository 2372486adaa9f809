import { useEffect, useRef, useState } from 'react'
import { formatNumber } from '../format.ts'

/** A number that lights up for a moment when it changes. */
export function Count({ value, className = '' }: { value: number; className?: string }) {
  const before = useRef(value)
  const [changes, setChanges] = useState(0)
  useEffect(() => {
    if (before.current !== value) setChanges((changes) => changes + 1)
    before.current = value
  }, [value])
  // Another key is another element, and so the animation begins anew.
  return (
    <span key={changes} className={changes > 0 ? `count changed ${className}` : `count ${className}`}>
      {formatNumber(value)}
    </span>
  )
}

import { useEffect, useRef, useState } from 'react'
import { formatNumber } from '../format.ts'

/** A number that is highlighted briefly when it changes. */
export function Count({ value, className = '' }: { value: number; className?: string }) {
  const before = useRef(value)
  const [changes, setChanges] = useState(0)
  useEffect(() => {
    if (before.current !== value) setChanges((changes) => changes + 1)
    before.current = value
  }, [value])
  // A new key creates a new element, which restarts the animation.
  return (
    <span key={changes} className={changes > 0 ? `count changed ${className}` : `count ${className}`}>
      {formatNumber(value)}
    </span>
  )
}

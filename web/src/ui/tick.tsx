import { type ReactNode, useEffect, useRef } from 'react'

interface TickProps {
  /** Checked if all of these are selected, indeterminate if some are. */
  of: readonly { name: string }[]
  chosen: ReadonlySet<string>
  onToggle(): void
  className?: string
  children: ReactNode
}

/** A checkbox for one item or a group of items. */
export function Tick({ of, chosen, onToggle, className = '', children }: TickProps) {
  const input = useRef<HTMLInputElement>(null)
  const count = of.filter(({ name }) => chosen.has(name)).length
  const isSome = count > 0 && count < of.length
  useEffect(() => {
    if (input.current) input.current.indeterminate = isSome
  }, [isSome])
  return (
    <label className={`tick ${className}`}>
      <input ref={input} type="checkbox" checked={count === of.length} onChange={onToggle} />
      {children}
    </label>
  )
}

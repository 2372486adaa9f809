import type { ComponentProps } from 'react'
import { usePage } from './page.tsx'

/** A heading `below` levels under the page's heading. */
export function Heading({ below = 0, ...props }: { below?: number } & ComponentProps<'h1'>) {
  const { headingLevel } = usePage()
  const Element = `h${Math.min(headingLevel + below, 6)}` as 'h1'
  return <Element {...props} />
}

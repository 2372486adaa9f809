import { createContext, useContext } from 'react'
import type { Api } from '../api/client.ts'

/** What every part of the page can reach. */
export interface Page {
  api: Api
  /** The level of the page's heading in the document that it is part of. */
  headingLevel: number
  /** A command that shows how a key is used; `{key}` stands for it. */
  example: string
  /** Where what opens above the page is put: within the shadow root, where the styles are. */
  layer: HTMLElement
  /** What the customer may do. */
  canWrite: boolean
  /** Tells what was done to who cannot see it. */
  announce(message: string): void
  /** Asks the server again for all that is shown. */
  refresh(): void
  /** Grows with every `refresh`. */
  refreshes: number
}

const PageContext = createContext<Page | null>(null)
export const PageProvider = PageContext.Provider

export function usePage(): Page {
  const page = useContext(PageContext)
  if (!page) throw new Error('usePage is for what is within PageProvider')
  return page
}

import { createContext, useContext } from 'react'
import type { Api } from '../api/client.ts'

/** What every component of the page can use. */
export interface Page {
  api: Api
  /** The level of the page's heading in the surrounding document. */
  headingLevel: number
  /** A command that shows how to use a key; `{key}` stands for the key. */
  example: string
  /** The container for dialogs and menus: inside the shadow root, where the styles apply. */
  layer: HTMLElement
  /** Whether the customer may make changes. */
  canWrite: boolean
  /** Announces a message to screen readers. */
  announce(message: string): void
  /** Fetches everything that is shown again. */
  refresh(): void
  /** Increments with every `refresh`. */
  refreshes: number
}

const PageContext = createContext<Page | null>(null)
export const PageProvider = PageContext.Provider

export function usePage(): Page {
  const page = useContext(PageContext)
  if (!page) throw new Error('usePage is for what is within PageProvider')
  return page
}

import { useEffect, useState } from 'react'
import { strings } from '../strings.ts'
import { Icon } from './icons.tsx'
import { usePage } from './page.tsx'

const shownMs = 2_000

/** Copies a text and confirms it briefly. With `text` alone it shows only an icon. */
export function CopyButton({ value, label, text }: { value: string; label: string; text?: string }) {
  const { announce } = usePage()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), shownMs)
    return () => clearTimeout(timer)
  }, [copied])
  async function copy() {
    const done = await copyText(value)
    setCopied(done)
    announce(done ? strings.copy.done : strings.copy.failed)
  }
  return (
    <button
      type="button"
      className={text ? 'button copy' : 'icon-button copy'}
      data-copied={copied || undefined}
      aria-label={text ? undefined : label}
      title={label}
      onClick={copy}
    >
      <Icon name={copied ? 'check' : 'copy'} />
      {text && <span>{copied ? strings.copy.done : text}</span>}
    </button>
  )
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Iframes and pages without TLS may lack the clipboard API, but can copy a selection.
    return copySelected(text)
  }
}

function copySelected(text: string): boolean {
  const before = document.activeElement
  const focused = before?.shadowRoot?.activeElement ?? before
  const area = document.createElement('textarea')
  area.value = text
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return done
}

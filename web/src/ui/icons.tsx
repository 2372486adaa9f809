const paths = {
  copy: 'M5.5 5.5v-2A1.5 1.5 0 0 1 7 2h5.5A1.5 1.5 0 0 1 14 3.5V9a1.5 1.5 0 0 1-1.5 1.5h-2M3.5 5.5H9A1.5 1.5 0 0 1 10.5 7v5.5A1.5 1.5 0 0 1 9 14H3.5A1.5 1.5 0 0 1 2 12.5V7a1.5 1.5 0 0 1 1.5-1.5Z',
  check: 'm3 8.5 3.2 3.2L13 4.8',
  close: 'm4 4 8 8m0-8-8 8',
  pencil: 'M10.6 3.2 12.8 5.4 5.6 12.6 2.8 13.2 3.4 10.4Z',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  plus: 'M8 3v10M3 8h10',
  eye: 'M1.6 8S3.9 3.6 8 3.6 14.4 8 14.4 8 12.1 12.4 8 12.4 1.6 8 1.6 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  chart: 'M2.5 13.5h11M4.5 11V8m3.5 3V4.5m3.5 6.5V6.5',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14',
  lock: 'M4.5 7V5a3.5 3.5 0 1 1 7 0v2M4 7h8a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1Z',
  refresh: 'M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 2v3h-3',
  trash:
    'M2.5 4.5h11M6 4.5V3a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v1.5M4 4.5l.6 8.6a1 1 0 0 0 1 .9h4.8a1 1 0 0 0 1-.9l.6-8.6M6.7 7.2v4M9.3 7.2v4',
  key: 'M5.8 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 7.9 13.4 2.5M11 4.9l1.8 1.8',
  download: 'M8 2.5v7.6m-3-3 3 3 3-3M2.5 13.5h11',
  alert:
    'M8 5.2v3.6m0 2.4h.01M7.1 2.5 1.7 11.9a1 1 0 0 0 .9 1.6h10.8a1 1 0 0 0 .9-1.6L8.9 2.5a1 1 0 0 0-1.8 0Z',
  cloud: 'm2 2 12 12M4.8 5.4A3.6 3.6 0 0 0 4.6 12.5h6.9M7.3 3.7a4.2 4.2 0 0 1 4.5 3.8 2.6 2.6 0 0 1 2 3.6',
}

export type IconName = keyof typeof paths

/** Decorative: hidden from screen readers, because the text or button around it has a name. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}

/** The cells of a row, and the placeholder in each. */
const cells = {
  key: ['note', 'start'],
  access: ['button'],
  calls: ['short'],
  last: ['middle'],
  added: ['middle'],
  actions: ['button'],
}

/** Placeholder rows of the final height, so that the layout does not shift. */
export function SkeletonRows({ count }: { count: number }) {
  return Array.from({ length: count }, (_, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the rows are identical.
    <li key={index} className="row skeleton-row" aria-hidden="true">
      {Object.entries(cells).map(([cell, bones]) => (
        <span key={cell} className={`cell cell-${cell}`}>
          {bones.map((bone) => (
            <span key={bone} className={`bone bone-${bone}`} />
          ))}
        </span>
      ))}
    </li>
  ))
}

/** The cells of a row, and what there will be in each. */
const cells = {
  key: ['note', 'start'],
  access: ['button'],
  calls: ['short'],
  last: ['middle'],
  added: ['middle'],
  actions: ['button'],
}

/** Rows as high as those to come, so that nothing jumps when they do. */
export function SkeletonRows({ count }: { count: number }) {
  return Array.from({ length: count }, (_, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike.
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

/** Text with columns of equal width. Numbers stand right, text left; cells longer than `maxCell` are cut in the middle. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[], maxCell = 48): string {
  const cells = rows.map((row) => row.map((cell) => shorten(String(cell), maxCell)))
  const widths = head.map((title, column) => Math.max(width(title), ...cells.map((row) => width(row[column] ?? ''))))
  const line = (row: readonly string[], side: (column: number) => 'left' | 'right') =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0, side(column)))
      .join('  ')
      .trimEnd()
  const sideOf = (column: number) => (rows.some((row) => typeof row[column] === 'string') ? 'left' : 'right')
  return [
    line(head, sideOf),
    widths.map((count) => '─'.repeat(count)).join('  '),
    ...cells.map((row) => line(row, sideOf)),
  ].join('\n')
}

/** `abcdefgh` in 5 → `ab…gh`. */
export function shorten(text: string, max: number): string {
  const points = [...text]
  if (points.length <= max) return text
  const head = Math.ceil((max - 1) / 2)
  return `${points.slice(0, head).join('')}…${points.slice(points.length - (max - 1 - head)).join('')}`
}

/** Code points; wide characters may shift a column by one, which a demo can bear. */
const width = (text: string): number => [...text].length

function pad(text: string, to: number, side: 'left' | 'right'): string {
  const gap = ' '.repeat(Math.max(0, to - width(text)))
  return side === 'right' ? gap + text : text + gap
}

// Tables of text, and progress for whoever waits.

const said = []

/** Prints a text that belongs to the results. */
export function say(text) {
  said.push(text)
  process.stdout.write(text)
}

/** Everything that was said. */
export const transcript = () => said.join('')

/**
 * @param {string} title
 * @param {readonly string[]} columns
 * @param {readonly (readonly (string | number | null)[])[]} rows the first column is text, the others are figures
 */
export function printTable(title, columns, rows) {
  const cells = [columns, ...rows.map((row) => row.map((cell) => (cell === null || cell === undefined ? '-' : String(cell))))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column].length)))
  const line = (row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')
  const [head, ...body] = cells.map(line)
  say(`\n${title}\n${head}\n${'-'.repeat(head.length)}\n${body.join('\n')}\n`)
}

export function fixed(value, digits = 2) {
  return value === null || value === undefined || Number.isNaN(value) ? null : value.toFixed(digits)
}

export function whole(value) {
  return value === null || value === undefined || Number.isNaN(value) ? null : Math.round(value).toLocaleString('en')
}

let toldAt = 0

/** Progress on stderr, so that the tables can be kept with `>`; without a terminal a line every few seconds will do. */
export function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
  else if (Date.now() - toldAt > 5000) {
    toldAt = Date.now()
    process.stderr.write(`${text}\n`)
  }
}

export function endProgress() {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

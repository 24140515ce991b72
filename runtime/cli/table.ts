/** Rows of cells as lines, each column as wide as its widest cell. Numbers stand at the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en') : cell)));
  const widths = (text[0] ?? []).map((_cell, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row, index) => {
      const cells = row.map((cell, column) => {
        const shown = text[index]?.[column] ?? '';
        const width = widths[column] ?? 0;
        return typeof cell === 'number' ? shown.padStart(width) : shown.padEnd(width);
      });
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

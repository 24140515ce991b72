/** The rows of a CSV text that comes in pieces (RFC 4180; lines end in \r\n or \n). */
export async function* csvRows(pieces: AsyncIterable<string>): AsyncIterable<string[]> {
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  /** In a quoted cell, a quote was the last character: its end, or the first of two. */
  let quote = false;
  let begun = false;
  for await (const piece of pieces) {
    for (const character of piece) {
      if (quoted && !quote) {
        if (character === '"') quote = true;
        else cell += character;
        continue;
      }
      if (quote && character === '"') {
        cell += '"';
        quote = false;
        continue;
      }
      quoted = quote = false;
      if (character === '"' && cell === '') quoted = true;
      else if (character === ',') {
        row.push(cell);
        cell = '';
      } else if (character === '\n') {
        if (begun) yield [...row, cell];
        row = [];
        cell = '';
        begun = false;
        continue;
      } else if (character !== '\r') cell += character;
      begun = true;
    }
  }
  if (begun) yield [...row, cell];
}

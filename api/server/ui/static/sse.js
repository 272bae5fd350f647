// Reads server-sent events, piece by piece as they come from a connection.

/** Takes text in any pieces and returns the events that are whole: `{id, data}`. */
export class EventReader {
  #rest = [];

  take(text) {
    if (!text.includes("\n")) {
      // a part of a long line: it is joined once, when the line ends
      this.#rest.push(text);
      return [];
    }
    const blocks = (this.#rest.join("") + text).split("\n\n");
    this.#rest = [blocks.pop()];
    return blocks.map(readBlock).filter((event) => event !== null);
  }
}

function readBlock(block) {
  let id = null;
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? { id, data: data.join("\n") } : null;
}

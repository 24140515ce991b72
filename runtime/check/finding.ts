/** One thing that is wrong in a file, or may be. */
export interface Finding {
  readonly file: string;
  /** Where it is about a node. */
  readonly node?: NodeName;
  /** JSON Pointer into the node, else into the file [RFC 6901]; `line:column` for a text that is no JSON; '' for the whole. */
  readonly path: string;
  /** `expected …, got …` */
  readonly message: string;
  /** A warning fails no check. */
  readonly level: 'error' | 'warning';
}

export interface NodeName {
  readonly id: string;
  readonly name: string;
  readonly type: string;
}

/** Takes what is wrong with one file or node. */
export type Report = (path: string, message: string, level?: Finding['level']) => void;

/** `file: node "name" (type) path: expected …, got …`, on one line whatever the names are. */
export function sentenceOf({ file, node, path, message, level }: Finding): string {
  const place = [node === undefined ? '' : `node ${JSON.stringify(node.name)} (${node.type})`, path]
    .filter((part) => part !== '')
    .join(' ');
  const warning = level === 'warning' ? 'warning: ' : '';
  return oneLine(`${file}: ${warning}${place === '' ? '' : `${place}: `}${message}`);
}

/** Nothing in a flow moves the cursor of a terminal, or turns the direction of its text. */
export function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

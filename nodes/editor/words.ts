import { formFields, summaryOf, type FieldSchema, type NodeFolder } from './node-folder.js';

/** The locale catalogue of a node: `<type>.fields.<field>.label|tip`. */
export function localeOf(node: NodeFolder): object {
  const words = (credential: boolean) =>
    Object.fromEntries(
      formFields(node)
        .filter((field) => field.credential === credential)
        .map(({ name, field }) => [name, { label: field.title ?? name, tip: plain(field.description ?? '') }]),
    );
  return {
    [node.type]: {
      paletteHelp: summaryOf(node),
      fields: words(false),
      credentials: words(true),
      outputs: node.palette.outputs,
    },
  };
}

/** The help text of a node: its own page, then a list of its settings. */
export function helpOf(node: NodeFolder): string {
  const settings = formFields(node).map(
    ({ name, field }) => `: ${field.title ?? name} (${typeOf(field)}) : ${field.description ?? ''}${defaultOf(field)}`,
  );
  return `<script type="text/markdown" data-help-name="${node.type}">
${node.help}

### Settings

${settings.join('\n')}
</script>
`;
}

/** The reference page of a node: a section of docs/nodes.md. */
export function referenceOf(node: NodeFolder): string {
  const rows = formFields(node).map(({ name, field, credential, required }) => {
    const cells = [`\`${name}\``, field.title ?? name, typeOf(field), defaultCell(field), field.description ?? ''];
    if (credential) cells[4] = `${cells[4] ?? ''} (credential)`;
    if (required && field.default === '') cells[4] = `${cells[4] ?? ''} (required)`;
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  });
  return `## ${node.type}

${node.help.replace(/^### /gm, '#### ')}

#### Settings

| field | label | type | default | meaning |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** A row of the README's table of nodes. */
export function tableRow(node: NodeFolder): string {
  return `| [${node.type}](docs/nodes.md#${node.type}) | ${node.palette.category === 'config' ? 'config' : 'flow'} | ${summaryOf(node)} |`;
}

function typeOf(field: FieldSchema): string {
  if (field.anyOf !== undefined) return field.anyOf.map(({ const: value }) => `\`${String(value)}\``).join(', ');
  if (field.ui?.control === 'node') return `${field.ui.node ?? 'config'} node`;
  if (field.type === 'array')
    return field.items?.properties === undefined ? `list of ${typeOf(field.items ?? {})}` : 'rows';
  const unit = field.ui?.unit === undefined ? '' : `, ${field.ui.unit}`;
  const range =
    field.minimum !== undefined && field.maximum !== undefined
      ? `, ${field.minimum}–${field.maximum}`
      : field.minimum !== undefined
        ? `, ≥ ${field.minimum}`
        : '';
  return `${field.type ?? 'any'}${range}${unit}`;
}

function defaultOf(field: FieldSchema): string {
  const cell = defaultCell(field);
  return cell === '' ? '' : ` Default: ${cell}.`;
}

function defaultCell(field: FieldSchema): string {
  const value = field.default;
  if (value === undefined || value === '') return '';
  if (Array.isArray(value) && value.length === 0) return 'none';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '');
}

import { formFields, type FieldSchema, type NodeFolder } from './node-folder.js';

/** The HTML that Node-RED's editor loads for a node: its registration and its form. The words are in its locale. */
export function nodeHtml(node: NodeFolder, extension: string | undefined): string {
  const { type, config, credentials, palette } = node;
  const descriptor = JSON.stringify({ type, config, credentials, palette }).replaceAll('</', '<\\/');
  const rows = formFields(node).map(({ name, field, credential }) => row(node, name, field, credential));
  return `<script type="text/javascript">
(function () {
${extension ?? 'const extension = {};'}
RED.nodes.registerType(${JSON.stringify(type)}, sluice.definition(${descriptor}, extension));
})();
</script>
<script type="text/html" data-template-name="${type}">
<div class="sluice-form">
${rows.join('\n')}
${'outputs' in (config.properties ?? {}) ? '<input type="hidden" id="node-input-outputs">\n' : ''}</div>
</script>
`;
}

function row(node: NodeFolder, name: string, field: FieldSchema, credential: boolean): string {
  const config = node.palette.category === 'config';
  const id = `node-${config ? 'config-' : ''}input-${name}`;
  const key = `${node.type}.${credential ? 'credentials' : 'fields'}.${name}`;
  const icon = field.ui?.icon ?? (name === 'name' ? 'fa-tag' : undefined);
  const label = `<label for="${id}">${icon === undefined ? '' : `<i class="fa ${icon}"></i> `}<span data-i18n="${key}.label"></span></label>`;
  const when = field.ui?.when;
  const attributes = `class="form-row sluice-row" data-sluice-field="${name}" data-i18n="[title]${key}.tip"${
    when === undefined ? '' : ` data-sluice-when="${escapeAttribute(JSON.stringify(when))}"`
  }`;
  return `<div ${attributes}>${label}${control(id, field, credential)}</div>`;
}

function control(id: string, field: FieldSchema, credential: boolean): string {
  if (field.type === 'array' || field.type === 'object') return `<div class="sluice-complex" id="${id}-rows"></div>`;
  if (field.ui?.control === 'json' || field.ui?.control === 'multiline') {
    return `<div class="sluice-editor" id="${id}-editor"></div><input type="hidden" id="${id}">`;
  }
  const secret = credential && field.ui?.secret !== false;
  const placeholder = field.ui?.placeholder;
  const unit = field.ui?.unit === undefined ? '' : ` <span class="sluice-unit">${field.ui.unit}</span>`;
  return `<input type="${secret ? 'password' : 'text'}" id="${id}"${placeholder === undefined ? '' : ` placeholder="${escapeAttribute(placeholder)}"`}>${unit}`;
}

function escapeAttribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

/** What a node's `config.ts` says of itself to the editor, beside its fields. Plain data: the build makes the HTML from it. */
export interface PaletteEntry {
  /** The label in the palette, and of an unnamed node. */
  readonly label: string;
  readonly category: 'Sluice' | 'config';
  /** `#rrggbb` */
  readonly color?: string;
  /** A file in the node's `icons/` folder. */
  readonly icon?: string;
  readonly inputs: 0 | 1;
  /** A label for each output. A node whose settings decide its outputs says so in its `editor.ts`. */
  readonly outputs: readonly string[];
  /** The field that labels a node without a name. */
  readonly labelField?: string;
  /** What the node's button asks of its behaviour (`Behaviour.action`). */
  readonly button?: { readonly action: string };
}

/** What a field says of its row in the form: the `ui` of its schema. */
export interface FieldHint {
  /**
   * Default by the schema's type: text for strings and numbers, a choice for booleans and unions of constants, a list
   * for arrays (of texts, or of objects: a row each), a group for objects.
   */
  readonly control?: 'text' | 'multiline' | 'json' | 'jsonata' | 'choice' | 'node' | 'hidden';
  /** For `node`: the type of config node. In a row of a list its id is kept beside the list (lib/slots.ts): give `maxItems`. */
  readonly node?: string;
  /** A Font Awesome 4 name: `fa-globe`. */
  readonly icon?: string;
  readonly placeholder?: string;
  /** Shown after the field: `ms`, `bytes`, `messages/s`. */
  readonly unit?: string;
  /** Shown only while another field has one of these values. */
  readonly when?: { readonly field: string; readonly is: readonly (string | number | boolean)[] };
  /** Values that are allowed and dangerous: the row is then shown in red. */
  readonly warnWhen?: readonly (string | number | boolean)[];
  /** For a credential: whether it is hidden as it is typed and never sent back to the editor. Default true. */
  readonly secret?: boolean;
}

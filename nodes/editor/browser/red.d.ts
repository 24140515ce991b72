/** The part of Node-RED's editor (5.0) that the forms use. */
interface EditorNode {
  [property: string]: unknown;
  id: string;
  type: string;
  name?: string;
  /** Of a config node: who refers to it. */
  users?: EditorNode[];
  valid?: boolean;
  _def: { category: string };
  _(key: string): string;
}

interface TypedInputType {
  value: string;
  label?: string;
  icon?: string;
  hasValue?: boolean;
  options?: { value: string; label: string }[];
  validate?: (value: string) => boolean;
}

interface CodeEditor {
  getValue(): string;
  getSession(): { on(event: 'change', listener: () => void): void };
  destroy(): void;
}

interface Query {
  readonly length: number;
  append(...children: (Query | string)[]): Query;
  appendTo(parent: Query): Query;
  addClass(name: string): Query;
  toggleClass(name: string, state: boolean): Query;
  attr(name: string, value: string): Query;
  remove(): Query;
  prependTo(parent: Query): Query;
  attr(name: string): string | undefined;
  removeAttr(name: string): Query;
  css(style: Record<string, string | number>): Query;
  index(): number;
  data(key: string): unknown;
  data(key: string, value: unknown): Query;
  each(visit: (index: number, element: HTMLElement) => void): Query;
  find(selector: string): Query;
  closest(selector: string): Query;
  on(event: string, listener: () => void): Query;
  val(): string;
  val(value: string): Query;
  text(text: string): Query;
  toggle(visible: boolean): Query;
  empty(): Query;
  trigger(event: string): Query;
  typedInput(options: { types: (TypedInputType | 'jsonata')[]; default?: string }): Query;
  typedInput(method: 'value' | 'type'): string;
  typedInput(method: 'value' | 'type' | 'width', value: string): Query;
  editableList(options: {
    addItem(row: Query, index: number, value: object): void;
    removable: boolean;
    sortable: boolean;
    height: string | number;
    addButton?: string;
    removeItem?(): void;
    sortItems?(): void;
  }): Query;
  editableList(method: 'items' | 'addItem', value?: object): Query;
  editableList(method: 'insertItemAt', value: object, index: number): Query;
}

/** A tab, as the editor holds it. */
interface EditorTab {
  readonly id: string;
  readonly type: string;
  env?: readonly { readonly name: string; readonly value?: unknown; readonly type?: string }[];
}

/** A pane of a dialog that edits something. */
interface EditPane {
  readonly label: string;
  readonly name: string;
  readonly iconClass: string;
  create(container: Query): void;
  /** Takes over what was changed, and what it was before. */
  apply(edit: { changed: boolean; readonly changes: { env?: unknown } }): void;
}

declare const $: {
  (selector: string | HTMLElement): Query;
  /** Node-RED adds the login to it. */
  ajax(options: {
    url: string;
    type: 'GET' | 'POST';
    contentType?: string;
    data?: string;
    success(body: { message?: string }): void;
    error(response: { responseJSON?: { message?: string }; statusText: string }): void;
  }): void;
};

declare const RED: {
  nodes: {
    registerType(type: string, definition: object): void;
    node(id: string): EditorNode | null | undefined;
    eachConfig(visit: (node: EditorNode) => void): void;
    eachWorkspace(visit: (tab: EditorTab) => void): void;
    /** Makes the node a user of each config node that it refers to. */
    updateConfigNodeUsers(node: EditorNode, options: { action: 'add' | 'remove' }): void;
  };
  editor: {
    createEditor(options: { id: string; mode: string; value: string }): CodeEditor;
    registerEditPane(
      id: string,
      pane: (edited: EditorTab) => EditPane,
      /** Whether the pane is for what is edited. */
      filter: (edited: EditorTab) => boolean,
    ): void;
    /** Makes a choice of config nodes, with buttons to edit one and to add one, of the input `#<prefix>-<property>`. */
    prepareConfigNodeSelect(node: EditorNode, property: string, type: string, prefix: string): void;
  };
  events: {
    on(event: 'nodes:add' | 'editor:save', listener: (node: EditorNode) => void): void;
    on(event: 'flows:add' | 'flows:change' | 'flows:loaded', listener: () => void): void;
    off(event: 'editor:save', listener: (node: EditorNode) => void): void;
    emit(event: 'nodes:change', node: EditorNode): void;
  };
  notify(text: string, options?: string | { type: string; timeout?: number }): void;
};

/** JSONata 2, which the editor has for its own expressions. */
declare const jsonata: (text: string) => {
  assign(name: string | symbol, value: unknown): void;
  ast(): unknown;
  evaluate(input: unknown): Promise<unknown>;
};

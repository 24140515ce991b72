/** The part of Node-RED's editor (5.0) that the forms use. */
interface EditorNode {
  [property: string]: unknown;
  id: string;
  type: string;
  name?: string;
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
  destroy(): void;
}

interface Query {
  readonly length: number;
  append(...children: (Query | string)[]): Query;
  appendTo(parent: Query): Query;
  addClass(name: string): Query;
  toggleClass(name: string, state: boolean): Query;
  attr(name: string, value: string): Query;
  attr(name: string): string | undefined;
  css(style: Record<string, string | number>): Query;
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
  typedInput(options: { types: TypedInputType[]; default?: string }): Query;
  typedInput(method: 'value' | 'type'): string;
  typedInput(method: 'value' | 'type' | 'width', value: string): Query;
  editableList(options: {
    addItem(row: Query, index: number, value: object): void;
    removable: boolean;
    sortable: boolean;
    height: string | number;
    addButton?: string;
  }): Query;
  editableList(method: 'items' | 'addItem', value?: object): Query;
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
  nodes: { registerType(type: string, definition: object): void; node(id: string): EditorNode | null };
  events: { on(event: 'nodes:add', listener: (node: EditorNode) => void): void };
  editor: { createEditor(options: { id: string; mode: string; value: string }): CodeEditor };
  notify(text: string, options?: string | { type: string; timeout?: number }): void;
};

/** Node-RED's editor as a person uses it: by its palette, its canvas and its dialogs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errors, type Browser, type Locator, type Page } from 'playwright-core';
import { RunningSluice, temporaryFolder } from './sluice.js';

/** For one `describe`: an instance that runs a flow (or the default one), and its editor in a browser. */
export function useEditor(browser: () => Browser, flow?: readonly object[]) {
  const folder = temporaryFolder();
  let opened: { readonly sluice: RunningSluice; readonly editor: EditorPage };

  before(async function () {
    this.timeout(60_000);
    const file = join(folder.path, 'flow.json');
    if (flow !== undefined) writeFileSync(file, JSON.stringify(flow));
    const sluice = await RunningSluice.start(folder.path, flow === undefined ? [] : [file]);
    opened = { sluice, editor: await EditorPage.open(browser(), sluice.ready.editor) };
  });
  after(async () => {
    await opened.sluice.stop();
    folder.remove();
  });

  return () => opened;
}

export const EMPTY_TAB = [{ id: 'tab1', type: 'tab', label: 'Flow 1' }];

export interface CanvasNode {
  readonly id: string;
  readonly type: string;
}

type Shown = 'visible' | 'hidden' | 'detached';

const MOST_ATTEMPTS = 3;
/** By when what a person did shows, on a busy machine too. */
const TAKES_WITHIN_MS = 6_000;
const VIEWPORT = { width: 1_500, height: 950 };

export class EditorPage {
  readonly page: Page;
  /** What the page has complained of: a form that does not work shows here. */
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(error.message));
  }

  static async open(browser: Browser, url: string): Promise<EditorPage> {
    const editor = new EditorPage(await browser.newPage({ viewport: VIEWPORT }));
    await editor.page.goto(url);
    await editor.palette('inject').waitFor();
    return editor;
  }

  palette(type: string): Locator {
    return this.page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
  }

  node(id: string): Locator {
    return this.page.locator(`g.red-ui-flow-node-group[id="${id}"]`);
  }

  field(name: string): Locator {
    return this.page.locator(`#node-input-${name}`);
  }

  configField(name: string): Locator {
    return this.page.locator(`#node-config-input-${name}`);
  }

  /** A row of the form: for lists and choices, whose inputs are not the field itself. */
  row(name: string): Locator {
    return this.page.locator(`[data-sluice-field="${name}"]`);
  }

  /** Takes one of a choice's values, in a row of the form or a cell of a list. */
  async choose(within: Locator, label: string): Promise<void> {
    await within.locator('.red-ui-typedInput-option-trigger').click();
    await this.page.locator('.red-ui-typedInput-options:visible a').getByText(label, { exact: true }).click();
  }

  /** Drags a node from the palette to a place on the canvas; as a person would, again when it did not take. */
  async add(type: string, x: number, y: number): Promise<CanvasNode> {
    const all = (): Promise<string[]> =>
      this.page.evaluate(
        (wanted) => (globalThis as unknown as Editor).RED.nodes.filterNodes({ type: wanted }).map(({ id }) => id),
        type,
      );
    const before = await all();
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      await this.palette(type).scrollIntoViewIfNeeded();
      await this.#settled();
      const canvas = await this.#box(this.page.locator('#red-ui-workspace-chart'));
      await this.#drag(this.palette(type), canvas.x + x, canvas.y + y);
      await this.#settled();
      const id = (await all()).find((one) => !before.includes(one));
      if (id !== undefined) return { id, type };
    }
    throw new Error(`expected a new ${type} on the canvas, got none`);
  }

  /** Draws a wire from an output to the input of another node; as a person would, again when it did not take. */
  async wire(from: CanvasNode, output: number, to: CanvasNode): Promise<void> {
    const source = this.node(from.id).locator('.red-ui-flow-port-output').nth(output);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      await this.#settled();
      const input = await this.#box(this.node(to.id).locator('.red-ui-flow-port-input'));
      await this.#drag(source, input.x + input.width / 2, input.y + input.height / 2);
      await this.#settled();
      const wires = (await this.exported(from))['wires'] as string[][];
      if (wires[output]?.includes(to.id) === true) return;
    }
    throw new Error(`expected a wire from ${from.type} to ${to.type}, got none`);
  }

  async showTab(id: string): Promise<void> {
    await this.page.evaluate((tab) => (globalThis as unknown as Editor).RED.workspaces.show(tab), id);
    await this.#settled();
  }

  async openForm(node: CanvasNode): Promise<void> {
    const drawn = this.node(node.id).locator('.red-ui-flow-node').first();
    await this.#insist((timeout) => drawn.dblclick({ timeout }), '#node-dialog-ok', 'visible');
  }

  /** Opens the dialog of a tab, on one of its panes. */
  async openTab(id: string, pane: string): Promise<void> {
    const tab = this.page.locator(`#red-ui-tab-${id}`);
    await this.#insist((timeout) => tab.dblclick({ timeout }), '#node-dialog-ok', 'visible');
    await this.page.locator(`#red-ui-tab-${pane}-link-button`).click();
    await this.#settled();
  }

  async closeForm(): Promise<void> {
    await this.#click('#node-dialog-ok', '#node-dialog-ok', 'detached');
  }

  /** Makes a config node from the form of the node that will use it; leaves the form open. */
  async addConfig(name: string, fill: () => Promise<void>): Promise<void> {
    await this.#inConfigForm(`#node-input-btn-${name}-add`, fill);
  }

  /** Opens the form of the config node that a row of an open form names, and takes what it shows. */
  async editConfig(name: string, look: () => Promise<void>): Promise<void> {
    await this.#inConfigForm(`#node-input-btn-${name}-edit`, look);
  }

  async #inConfigForm(button: string, act: () => Promise<void>): Promise<void> {
    await this.#click(button, '#node-config-dialog-ok', 'visible');
    await act();
    await this.#click('#node-config-dialog-ok', '#node-config-dialog-ok', 'detached');
  }

  /** Imports an example of the palette by the dialog, as its menu and Ctrl-I open it. */
  async importExample(name: string): Promise<void> {
    const dialog = this.page.locator('#red-ui-clipboard-dialog');
    await this.#insist(() => this.page.keyboard.press('Control+i'), '#red-ui-clipboard-dialog-import-tabs', 'visible');
    const list = dialog.locator('#red-ui-clipboard-dialog-import-tab-examples');
    const tab = dialog.locator('#red-ui-clipboard-dialog-import-tabs').getByText('Examples', { exact: true });
    const entry = list.getByText(name, { exact: true });
    const choose = async (timeout: number): Promise<void> => {
      if (!(await list.isVisible())) await tab.click({ timeout });
      if (!(await entry.isVisible())) await list.getByText('@sluice/node-red').click({ timeout });
      await entry.click({ timeout });
    };
    await this.#insist(choose, '#red-ui-clipboard-dialog-ok:not([disabled])', 'visible');
    await this.#click('#red-ui-clipboard-dialog-ok', '#red-ui-clipboard-dialog', 'hidden');
  }

  async deploy(): Promise<void> {
    const answer = this.page.waitForResponse(
      (response) => response.url().endsWith('/flows') && response.request().method() === 'POST',
    );
    await this.page.locator('#red-ui-header-button-deploy').click();
    await answer;
  }

  /** What the editor would save of a node. */
  async exported(node: CanvasNode): Promise<Record<string, unknown>> {
    return this.page.evaluate((id) => {
      const { RED } = globalThis as unknown as Editor;
      return RED.nodes.convertNode(RED.nodes.node(id), false);
    }, node.id);
  }

  /** Whether the editor would deploy a node anew. */
  async isChanged(node: CanvasNode): Promise<boolean> {
    return this.page.evaluate((id) => (globalThis as unknown as Editor).RED.nodes.node(id).changed === true, node.id);
  }

  /** Puts a flow in place of what the editor shows, without a deploy. @returns how many nodes it shows */
  async show(flow: readonly object[]): Promise<number> {
    return this.page.evaluate((nodes) => {
      const { RED } = globalThis as unknown as Editor;
      RED.nodes.clear();
      RED.nodes.import(nodes);
      return RED.nodes.filterNodes({}).length;
    }, flow);
  }

  /** The nodes that are marked as wrong, with the fields. */
  async invalid(): Promise<(readonly [string, unknown])[]> {
    return this.page.evaluate(() => {
      const { nodes } = (globalThis as unknown as Editor).RED;
      const all: EditorNode[] = [];
      nodes.eachNode((node) => void all.push(node));
      nodes.eachConfig((node) => void all.push(node));
      return all.filter(({ valid }) => !valid).map(({ type, validationErrors }) => [type, validationErrors] as const);
    });
  }

  /** The names of the config nodes that count a node as their user, each as often as they do. */
  async users(node: CanvasNode): Promise<string[]> {
    return this.page.evaluate((id) => {
      const names: string[] = [];
      (globalThis as unknown as Editor).RED.nodes.eachConfig(({ name, users }) => {
        for (const user of users ?? []) if (user.id === id) names.push(name ?? '');
      });
      return names;
    }, node.id);
  }

  /** Exports a node as the editor does, and imports that as a copy. @returns what was imported */
  async importCopy(node: CanvasNode): Promise<Record<string, unknown>[]> {
    return this.page.evaluate((id) => {
      const { nodes } = (globalThis as unknown as Editor).RED;
      const exported = nodes.createExportableNodeSet([nodes.node(id)]);
      const importMap = Object.fromEntries(exported.map((one) => [one['id'] as string, 'copy']));
      const { nodes: imported } = nodes.import(exported, { generateIds: true, importMap });
      return imported.map((one) => nodes.convertNode(one, false));
    }, node.id);
  }

  async #click(button: string, shows: string, state: Shown): Promise<void> {
    await this.#insist((timeout) => this.page.locator(button).click({ timeout }), shows, state);
  }

  /**
   * What a person does until it shows: on a busy machine a click can fall between two drawings, and the two of a double
   * click so far apart that the editor takes them for two.
   */
  async #insist(act: (timeout: number) => Promise<void>, shows: string, state: Shown): Promise<void> {
    const took = async (step: Promise<void>): Promise<boolean> =>
      step.then(
        () => true,
        (error: unknown) => {
          if (error instanceof errors.TimeoutError) return false;
          throw error;
        },
      );
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      await this.#settled();
      // That it could not be done may be because the one before took after all.
      await took(act(TAKES_WITHIN_MS));
      if (await took(this.page.locator(shows).waitFor({ state, timeout: TAKES_WITHIN_MS }))) return this.#settled();
    }
    throw new Error(`expected ${shows} to be ${state} after ${MOST_ATTEMPTS} attempts, got no change`);
  }

  /** Trays slide, and the canvas is drawn again a frame after each change: a click in the middle of it goes astray. */
  async #settled(): Promise<void> {
    await this.page.waitForFunction(() => (globalThis as unknown as Editor).jQuery(':animated').length === 0);
    await this.page.evaluate(async () => {
      const page = globalThis as unknown as Editor;
      await Promise.all(page.document.getAnimations().map(async ({ finished }) => finished.catch(() => undefined)));
      await new Promise((resolve) => page.requestAnimationFrame(() => page.requestAnimationFrame(resolve)));
    });
  }

  async #drag(from: Locator, x: number, y: number): Promise<void> {
    const box = await this.#box(from);
    const { mouse } = this.page;
    await mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await mouse.down();
    await mouse.move((box.x + x) / 2, (box.y + y) / 2, { steps: 8 });
    await mouse.move(x, y, { steps: 8 });
    await mouse.up();
  }

  async #box(locator: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
    const box = await locator.boundingBox();
    if (box === null) throw new Error(`expected ${String(locator)} to be on the page, got nothing`);
    return box;
  }
}

interface EditorNode {
  readonly id: string;
  readonly name?: string;
  readonly users?: readonly EditorNode[];
  readonly type: string;
  readonly valid: boolean;
  readonly validationErrors?: readonly string[];
}

/** The globals of the editor's page that the tests ask. */
interface Editor {
  readonly RED: {
    readonly workspaces: { show(id: string): void };
    readonly nodes: {
      clear(): void;
      import(flow: readonly object[], options?: object): { nodes: EditorNode[] };
      createExportableNodeSet(nodes: object[]): Record<string, unknown>[];
      filterNodes(filter: { type?: string }): { id: string }[];
      node(id: string): { readonly changed?: boolean };
      eachNode(visit: (node: EditorNode) => void): void;
      eachConfig(visit: (node: EditorNode) => void): void;
      convertNode(node: object, credentials: boolean): Record<string, unknown>;
    };
  };
  readonly jQuery: (selector: string) => { readonly length: number };
  requestAnimationFrame(callback: (time: number) => void): number;
  readonly document: { getAnimations(): { readonly finished: Promise<unknown> }[] };
}

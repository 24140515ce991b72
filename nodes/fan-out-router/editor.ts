import type { Extension } from '../editor/browser/definition.js';
import { showVerdicts } from './editor-sample.js';

interface RuleRow {
  readonly name?: string;
  readonly enabled?: boolean;
}

/** An output for each rule, one for no match, one for errors: the wires follow their rules when rows move. */
export const extension: Extension = {
  definition: {
    outputLabels(this: EditorNode, index: number): string {
      const rules = this['rules'] as readonly RuleRow[];
      const rule = rules[index];
      if (rule !== undefined) return `${rule.name ?? ''}${rule.enabled === false ? ' (off)' : ''}`;
      return index === rules.length ? 'no match' : 'error';
    },
  },
  prepare(_node, form) {
    showVerdicts(form);
  },
  save(_node, { origins, before }) {
    const now = origins('rules');
    const old = (before('rules') as readonly unknown[]).length;
    // Node-RED takes the present place of each output by its place before; -1 for one that is gone,
    // a key that is no number for one that is new.
    const places: Record<string, number> = {};
    for (let index = 0; index < old; index++) places[index] = now.indexOf(index);
    places[old] = now.length;
    places[old + 1] = now.length + 1;
    for (const [place, origin] of now.entries()) if (origin === undefined) places[`new-${place}`] = place;
    $('#node-input-outputs').val(JSON.stringify(places));
  },
};

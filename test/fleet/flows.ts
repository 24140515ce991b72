import type { FlowNode } from './member.js';

export const TAB: FlowNode = { id: 'tab1', type: 'tab', label: 'Readings', env: [] };
export const EDITOR_TAB: FlowNode = {
  ...{ id: 'tab2', type: 'tab', label: 'Devices' },
  env: [{ name: 'SLUICE_RUNS_ON', value: 'editor', type: 'str' }],
};

/** A node that does nothing on its own. */
export function debug(id: string, fields: Readonly<Record<string, unknown>> = {}): FlowNode {
  return { id, type: 'debug', z: 'tab1', name: id, active: false, x: 100, y: 100, wires: [], ...fields };
}

/** A node with a user and a password, and an address. */
export function request(id: string, fields: Readonly<Record<string, unknown>> = {}): FlowNode {
  return {
    ...{ id, type: 'http request', z: 'tab1', name: id, method: 'GET', ret: 'txt', url: '', authType: 'basic' },
    ...{ x: 100, y: 200, wires: [[]], ...fields },
  };
}

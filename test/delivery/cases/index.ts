import type { Case } from './case.js';
import { CONTRIB } from './contrib.js';
import { CORE } from './core.js';
import { EVENTS } from './events.js';
import { FUNCTIONS } from './functions.js';
import { PARSERS } from './parsers.js';
import { RAW } from './raw.js';
import { SEQUENCES } from './sequences.js';
import { SINKS } from './sinks.js';
import { WIRES } from './wires.js';

/** What the conformance suite runs, and what the tables in docs/delivery.md are made of, in their order. */
export const GROUPS: readonly { readonly title: string; readonly cases: readonly Case[] }[] = [
  { title: 'Ways from node to node', cases: WIRES },
  { title: 'Function nodes', cases: FUNCTIONS },
  { title: 'Catch, complete, status', cases: EVENTS },
  { title: 'Core nodes', cases: CORE },
  { title: 'Parsers', cases: PARSERS },
  { title: 'Sequences', cases: SEQUENCES },
  { title: 'Nodes of Sluice that fail', cases: SINKS },
  { title: 'What nodes of others do', cases: RAW },
  { title: 'Packages of others', cases: CONTRIB },
];

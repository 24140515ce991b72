import { type Case, fn, node, DEAD } from './case.js';

/** Ways in which nodes of others use Node-RED's API. */
export const RAW: readonly Case[] = [
  { name: 'a node without done', nodes: [node('raw-without-done', {})], messages: 3, arrivals: 3 },
  { name: 'a node that calls done twice, late', nodes: [node('raw-done-twice', {})], messages: 3, arrivals: 3 },
  { name: 'a node that sends copies', nodes: [node('raw-copies', {}, [['sink', 'sink2']])], arrivals: 6 },
  { name: 'a node that throws', nodes: [node('raw-throws', {}, [[]])], ...DEAD },
  { name: 'a node that takes no messages', nodes: [node('raw-without-input', {}, [[]])], ...DEAD },
  {
    name: 'a node that hands messages to a sink of Sluice without a wire',
    nodes: [node('raw-receive', { target: 'sink' }, [[]])],
    messages: 2,
    arrivals: 2,
  },
  {
    name: 'a node that hands messages to another without a wire',
    nodes: [node('raw-receive', { target: 'f' }, [[]]), fn('await null; return { payload: 1 };')],
    messages: 2,
    arrivals: 2,
  },
];

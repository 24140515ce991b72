import { InvalidArgumentError } from 'commander';
import { FAULTS, type Fault } from '@sluice/node-red/simulator';

export interface FaultShare {
  readonly fault: Fault;
  readonly share: number;
}

/** Parsers of option values. Each throws commander's InvalidArgumentError with `expected …, got …`. */

export function portNumber(text: string): number {
  return inRange(text, 0, 65_535, 'a port from 0 to 65535');
}

export function wholeFrom(least: number): (text: string) => number {
  return (text) => inRange(text, least, Number.MAX_SAFE_INTEGER, `a whole number from ${least}`);
}

export function finite(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw invalid('a number', text);
  return value;
}

export function notNegative(text: string): number {
  const value = finite(text);
  if (value < 0) throw invalid('a number from 0', text);
  return value;
}

export function positive(text: string): number {
  const value = finite(text);
  if (value <= 0) throw invalid('a number above 0', text);
  return value;
}

export function numbers(text: string): number[] {
  return text.split(',').map((part) => finite(part.trim()));
}

export function qos(text: string): 0 | 1 | 2 {
  if (text !== '0' && text !== '1' && text !== '2') throw invalid('0, 1 or 2', text);
  return Number(text) as 0 | 1 | 2;
}

const FLEET = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

export function fleetName(text: string): string {
  if (!FLEET.test(text)) throw invalid('a name of at most 63 letters, digits, _ and -', text);
  return text;
}

function inRange(text: string, least: number, most: number, expected: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most)
    throw invalid(expected, text);
  return value;
}

function invalid(expected: string, text: string): InvalidArgumentError {
  return new InvalidArgumentError(`expected ${expected}, got ${JSON.stringify(text)}`);
}

/** `malformed=0.01`, one for each time that the option stands. */
export function addFault(text: string, before: readonly FaultShare[]): FaultShare[] {
  const [, name = '', number = ''] = /^([^=]*)=(.*)$/.exec(text) ?? [];
  const fault = FAULTS.find((known) => known === name);
  const share = Number(number);
  if (fault === undefined || number.trim() === '' || !(share >= 0 && share <= 1)) {
    throw invalid(`a fault (${FAULTS.join(', ')}), = and a share from 0 to 1`, text);
  }
  return [...before, { fault, share }];
}

export function faultNames(text: string): ReadonlySet<string> {
  const names = text === 'none' ? [] : text.split(',').map((name) => name.trim());
  if (names.every((name) => (FAULTS as readonly string[]).includes(name))) return new Set(names);
  throw invalid(`faults of ${FAULTS.join(', ')}, or none`, text);
}

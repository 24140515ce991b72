import { InvalidArgumentError } from 'commander';

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

function inRange(text: string, least: number, most: number, expected: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most)
    throw invalid(expected, text);
  return value;
}

function invalid(expected: string, text: string): InvalidArgumentError {
  return new InvalidArgumentError(`expected ${expected}, got ${JSON.stringify(text)}`);
}

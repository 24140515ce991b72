import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { hash } from 'bcryptjs';
import { Command } from 'commander';
import { UserError } from '../launcher/user-error.js';

const ROUNDS = 10;

export function passwordCommand(): Command {
  return new Command('password')
    .description(
      'Ask for a password, or read it from standard input, and print its hash for SLUICE_ADMIN_PASSWORD_HASH.',
    )
    .action(async () => {
      const password = await readPassword();
      if (password === '') throw new UserError('expected a password of at least one character, got none');
      process.stdout.write(`${await hash(password, ROUNDS)}\n`);
    });
}

async function readPassword(): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() }); // what is typed is not shown
  const terminal = process.stdin.isTTY;
  const lines = createInterface({ input: process.stdin, output: silent, terminal });
  if (terminal) process.stderr.write('Password: ');
  try {
    for await (const line of lines) return line;
    return '';
  } finally {
    lines.close();
    if (terminal) process.stderr.write('\n');
  }
}

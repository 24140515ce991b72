import type { OpenForm } from '../editor/browser/definition.js';
import { pageJsonata } from '../editor/browser/page-jsonata.js';
import { messageOf } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Rule } from './config.js';
import { compileRules, RulesByTopic, verdictOf } from './decide.js';

/** Typing goes on for a while before anybody looks. */
const PAUSE_MS = 150;

interface Line {
  readonly look: 'yes' | 'no' | 'off' | 'problem';
  readonly text: string;
}

/** Below the sample message: what each rule says of it, by the code of the run time, after each change in the form. */
export function showVerdicts(form: OpenForm): void {
  const list = $('<ul class="sluice-verdicts">');
  $('<div class="form-row sluice-row"><label></label></div>').append(list).appendTo($('.sluice-form'));
  let latest = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = async (): Promise<void> => {
    const mine = ++latest;
    const sample = form.read('sample');
    if (typeof sample !== 'string') return; // the form has been closed
    const lines = await linesFor(form.read('rules') as Rule[], sample, isFirst());
    if (mine !== latest) return; // the form has changed since
    list.empty();
    for (const { look, text } of lines) $('<li>').addClass(`sluice-verdict-${look}`).text(text).appendTo(list);
  };
  form.onChange(() => {
    clearTimeout(timer);
    timer = setTimeout(() => void show(), PAUSE_MS);
  });
  void show();
}

function isFirst(): boolean {
  return $('#node-input-mode').val() === 'first';
}

async function linesFor(rules: readonly Rule[], sample: string, first: boolean): Promise<Line[]> {
  if (sample.trim() === '') return [];
  let message: Message;
  try {
    const parsed: unknown = JSON.parse(sample);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('it is no object');
    message = parsed as Message;
  } catch (error) {
    return [{ look: 'problem', text: `Sample: expected a message as a JSON object: ${messageOf(error)}` }];
  }
  const lines: Line[] = [];
  let taken = false;
  for (const rule of rules) {
    const line = await lineFor(rule, message, first && taken);
    taken ||= line.look === 'yes';
    lines.push(line);
  }
  const unmatched = lines.every(({ look }) => look === 'no');
  return unmatched ? [...lines, { look: 'yes', text: '→ no match' }] : lines;
}

async function lineFor(rule: Rule, message: Message, tooLate: boolean): Promise<Line> {
  const { name = '' } = rule as Partial<Rule>;
  if (JSON.stringify(rule).includes('${')) return { look: 'off', text: `${name}: known when its variables are` };
  try {
    const [compiled] = compileRules([rule], pageJsonata);
    const asked = compiled === undefined ? [] : new RulesByTopic([compiled]).for(message);
    const verdict = asked[0] === undefined ? false : await verdictOf(asked[0], message);
    if (typeof verdict !== 'boolean') return { look: 'problem', text: `→ error: ${verdict.message}` };
    if (!verdict) return { look: 'no', text: `${name}: does not match` };
    if (!rule.enabled) return { look: 'off', text: `${name}: matches, but is off` };
    if (tooLate) return { look: 'off', text: `${name}: matches, but a rule before it has taken the message` };
    return { look: 'yes', text: `→ ${name}: matches` };
  } catch (error) {
    return { look: 'problem', text: `${name}: ${messageOf(error).replace(/^\/rules\/0\//, '')}` };
  }
}

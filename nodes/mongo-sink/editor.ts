import type { Extension } from '../editor/browser/definition.js';
import type { OperatorRow } from './config.js';

const TWICE = ['$inc', '$mul', '$push'];

/** Warns while the form asks for what a message that comes again does a second time. */
export const extension: Extension = {
  prepare(_node, form) {
    const note = $('<div class="form-tips sluice-note">')
      .text(
        'A message that comes again (after a crash, or a lost acknowledgement) counts twice with $inc, $mul and $push: ' +
          'its identity does not protect them. "Newer only" with a sequence number does.',
      )
      .appendTo($('[data-sluice-field="newerOnly"]'));
    const show = (): void => void note.toggle(countsTwice((form.read('operators') ?? []) as OperatorRow[]));
    // A change is told while a new row is still being drawn.
    form.onChange(() => queueMicrotask(show));
    show();
  },
};

function countsTwice(rows: readonly OperatorRow[]): boolean {
  if ($('#node-input-newerOnly').val() !== '') return false;
  const operation = $('#node-input-operation').val();
  return (
    operation === 'update-message' || (operation === 'update' && rows.some(({ operator }) => TWICE.includes(operator)))
  );
}

import type { Extension } from '../editor/browser/definition.js';
import { splitUser } from './split-user.js';

/** A password that is typed into the URI goes where Node-RED keeps it encrypted; a flow never has it. */
export const extension: Extension = {
  save() {
    const uri = $('#node-config-input-uri');
    const found = splitUser(uri.val());
    if (found === undefined) return;
    uri.val(found.uri);
    $('#node-config-input-user').val(found.user);
    $('#node-config-input-password').val(found.password);
  },
};

import { EDITOR_ONLY, RUNS_ON, runsOnEditor } from '../../lib/runs-on.js';

const TIP = 'In a fleet this tab runs on the editor instance only';
const HELP =
  'In a fleet every worker runs a tab, unless it is for the editor instance only: simulated devices, a dashboard, ' +
  'what asks another server by the clock. An instance that runs alone runs all tabs. Links between a tab of the workers ' +
  'and one of the editor instance carry nothing.';

/** Which instances of a fleet run a tab: chosen in the tab's dialog, and shown on the tab. */
export function addRunsOn(): void {
  RED.editor.registerEditPane('sluice-runs-on', pane, ({ type }) => type === 'tab');
  // A tab that is added is drawn after it is said, and its label is drawn anew with each change.
  const soon = (): void => void requestAnimationFrame(drawBadges);
  RED.events.on('flows:add', soon);
  RED.events.on('flows:change', soon);
  RED.events.on('flows:loaded', soon);
}

function pane(tab: EditorTab): EditPane {
  const before = runsOnEditor(tab) ? EDITOR_ONLY : '';
  let choice: Query | undefined;
  return {
    label: 'Runs on',
    name: 'Runs on',
    iconClass: 'fa fa-server',
    create(container) {
      const form = $('<form class="dialog-form form-horizontal sluice-runs-on-form"></form>').appendTo(container);
      const row = $('<div class="form-row"></div>').appendTo(form);
      $('<label for="sluice-runs-on"><i class="fa fa-server"></i> Runs on</label>').appendTo(row);
      choice = $('<select id="sluice-runs-on"></select>').appendTo(row);
      $('<option value="">every worker</option>').appendTo(choice);
      $(`<option value="${EDITOR_ONLY}">editor instance only</option>`).appendTo(choice);
      choice.val(before);
      $('<p class="form-tips"></p>').text(HELP).appendTo(form);
    },
    apply(edit) {
      const value = choice?.val() ?? before;
      // Unchanged, so that what was typed into the tab's variables stands.
      if (value === before) return;
      const others = (tab.env ?? []).filter(({ name }) => name !== RUNS_ON);
      if (!Object.hasOwn(edit.changes, 'env')) edit.changes.env = tab.env;
      edit.changed = true;
      tab.env = value === '' ? others : [...others, { name: RUNS_ON, value, type: 'str' }];
    },
  };
}

function drawBadges(): void {
  RED.nodes.eachWorkspace((tab) => {
    const label = $(`#red-ui-tab-${tab.id.replace('.', '-')} .red-ui-tab-label`);
    label.find('.sluice-runs-on').remove();
    if (!runsOnEditor(tab)) return;
    $(`<span class="sluice-runs-on" title="${TIP}"><i class="fa fa-desktop"></i> </span>`).prependTo(label);
  });
}

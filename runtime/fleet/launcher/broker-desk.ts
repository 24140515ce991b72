import type { FleetChannel } from '../channel.js';
import type { Fleet } from './fleet.js';
import { EDITOR_SLOT } from '../identity.js';
import { JoinDesk } from '../joining/desk.js';
import { decodeJoinRequest } from '../joining/request.js';
import { decodeReport, type InstanceReport } from '../report/instance-report.js';
import type { Roster } from './roster.js';
import type { SlotTable } from '../slots/table.js';
import type { FleetTopics } from '../topics.js';

/** Retained reports come at once, live ones every second: by then another launcher of the fleet is known. */
export const OTHERS_KNOWN_MS = 2_500;

export interface BrokerDeskPorts {
  readonly channel: FleetChannel;
  readonly topics: FleetTopics;
  readonly table: SlotTable;
  readonly roster: Roster;
  readonly say: (sentence: string) => void;
}

/** What the launcher does on the broker: hears what workers elsewhere report, and gives slots to those who join. */
export class BrokerDesk {
  readonly #ports: BrokerDeskPorts;
  #fleet: Fleet | undefined;
  #other: InstanceReport | undefined;

  constructor(ports: BrokerDeskPorts) {
    this.#ports = ports;
  }

  hear(): void {
    const { channel, topics } = this.#ports;
    channel.listen(topics.instance('+'), (body, retained) => {
      const report = decodeReport(body);
      if (report !== undefined) this.#hear(report, retained);
    });
  }

  /** The report of an editor instance of this fleet that another launcher runs: said now, not kept by the broker. */
  get other(): InstanceReport | undefined {
    return this.#other;
  }

  /** Answers those who join, from now on. */
  open(fleet: Fleet): void {
    this.#fleet = fleet;
    const { channel, topics, table, roster, say } = this.#ports;
    const desk = new JoinDesk(table, roster);
    channel.listen(topics.join, (body) => {
      const request = decodeJoinRequest(body);
      const answer = request === undefined ? undefined : desk.answer(request);
      if (request === undefined || answer === undefined) return;
      say(
        'slot' in answer
          ? `${request.host} joins as slot ${answer.slot}`
          : `${request.host} may not join: ${answer.refused}`,
      );
      channel.publish(topics.joined(request.nonce), answer);
    });
  }

  /** Processes of our own report without a broker between. */
  #hear(report: InstanceReport, retained: boolean): void {
    const { table, roster } = this.#ports;
    if (this.#fleet?.processes.has(report.slot) === true) return;
    roster.hear(report, retained);
    const { slot, state } = report;
    if (slot === EDITOR_SLOT && !retained && roster.isLive(slot)) this.#other = report;
    // It was asked to leave by its own command.
    if (state === 'left' && table.holder(slot)?.kind === 'joined') table.end(slot);
  }
}

import type { InstanceReport } from '../report/instance-report.js';

/** What an instance had on a disk that is gone; undefined where it had nothing. */
export function heldOnDisk(report: InstanceReport | undefined): string | undefined {
  if (report === undefined || report.spool.records === 0) return undefined;
  const { spool, host, at } = report;
  return `its spool on ${host} held ${spool.records} records (${bytesText(spool.bytes)}), as it last said at ${new Date(at).toISOString()}`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  for (; value >= 1_000 && unit < UNITS.length - 1; unit++) value /= 1_000;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit] ?? ''}`;
}

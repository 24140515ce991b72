import type { OwnMosquitto } from '../servers/mosquitto.js';
import { temporaryFolder } from '../sluice.js';
import { Member, type MemberOptions } from './member.js';

/** Members on one broker, each in a folder of its own that outlives it, for one test. */
export function useFleet(broker?: () => OwnMosquitto) {
  let folder: ReturnType<typeof temporaryFolder>;
  let members: Member[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    await Promise.all(members.map((member) => member.stop()));
    members = [];
    folder.remove();
    await broker?.().restart(); // without persistence: nothing is retained
  });
  return {
    folder: () => folder.path,
    async member(slot: number, options: Partial<MemberOptions> = {}): Promise<Member> {
      const member = await Member.start({ folder: folder.path, brokerUrl: broker?.().url ?? '', slot, ...options });
      members.push(member);
      return member;
    },
  };
}

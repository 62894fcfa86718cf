// Usernames of contacts. The account id identifies a person; a name is for display and can move to
// another account.

import { type Api, OfflineError } from "../../net";
import type { AccountId, User } from "../../protocol/wire";
import { sameName } from "../names";
import type { Archive, Change } from "../ports";
import { noticeChange } from "./notices";
import type { ConversationRecord } from "./records";

/** The account that has a name, and another contact who is, or was, known by it. */
export interface Found {
  readonly user: User;
  readonly namesake: ConversationRecord | undefined;
}

/** Shown for an account without a username. Stored in records, so the text must not change. */
export const NAMELESS = "Someone without a name";

/** Former names kept per contact. */
const MAX_FORMER_NAMES = 20;

/** Resolves a username. Offline, only contacts can be found. */
export async function find(api: Api, archive: Archive, username: string): Promise<Found> {
  const known = await archive.all("conversations");
  const user = await api.user(username).catch((error: unknown) => {
    const talked = known.find((record) => record.username === username);
    if (talked && error instanceof OfflineError) return { account_id: talked.peer, username };
    throw error;
  });
  const namesake =
    knownAs(username, user.account_id, known) ?? knownAs(user.username, user.account_id, known);
  return { user, namesake };
}

/** Changes to a conversation for a new name; empty if the name is the same. */
export function rename(conversation: ConversationRecord, username: string, now: number): Change[] {
  const { username: from, formerly = [] } = conversation;
  if (from === username) return [];
  const renamed = { ...conversation, username };
  // The first name is not a rename.
  if (from === NAMELESS) return [{ table: "conversations", put: renamed }];
  const kept = [...formerly.filter((name) => name !== from && name !== username), from].slice(
    -MAX_FORMER_NAMES,
  );
  return [
    { table: "conversations", put: { ...renamed, formerly: kept } },
    noticeChange(
      conversation,
      { kind: "notice", notice: "renamed", from, to: username },
      now,
      kept.length,
    ),
  ];
}

/** Another contact with the same current or former name as `conversation`. */
export function namesakeOf(
  { peer, username }: Pick<ConversationRecord, "peer" | "username">,
  known: readonly ConversationRecord[],
): ConversationRecord | undefined {
  return knownAs(username, peer, known);
}

/** A contact other than `account` who has or had this name. */
export function knownAs(
  name: string,
  account: AccountId,
  known: readonly ConversationRecord[],
): ConversationRecord | undefined {
  const others = known.filter(({ peer, username }) => peer !== account && username !== NAMELESS);
  return (
    others.find(({ username }) => sameName(username, name)) ??
    others.find(({ formerly = [] }) => formerly.some((former) => sameName(former, name)))
  );
}

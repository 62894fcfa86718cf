// What people are called. An account is who a person is; its name is shown, can change, and can be given to another.

import { type Api, OfflineError } from "../../net";
import type { AccountId, User } from "../../protocol/wire";
import { sameName } from "../names";
import type { Archive, Change } from "../ports";
import { noticeChange } from "./notices";
import type { ConversationRecord } from "./records";

/** Who has a name now, and another person who is, or was, known by it here. */
export interface Found {
  readonly user: User;
  readonly namesake: ConversationRecord | undefined;
}

/** For an account that has not claimed a name. */
export const NAMELESS = "Someone without a name";

/** As many former names are kept for each person. */
const KEPT = 20;

/** Looks a name up. Without a connection a person who was talked with is known by it, too. */
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

/** The changes that a new name brings to a conversation; empty when the name is no news. */
export function rename(conversation: ConversationRecord, username: string, now: number): Change[] {
  const { username: from, formerly = [] } = conversation;
  if (from === username) return [];
  const renamed = { ...conversation, username };
  // A name that was not known yet is no change of names.
  if (from === NAMELESS) return [{ table: "conversations", put: renamed }];
  const kept = [...formerly.filter((name) => name !== from && name !== username), from].slice(
    -KEPT,
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

/** Another contact among these whose known name is that of `conversation`. */
export function namesakeOf(
  { peer, username }: Pick<ConversationRecord, "peer" | "username">,
  known: readonly ConversationRecord[],
): ConversationRecord | undefined {
  return knownAs(username, peer, known);
}

/** A contact other than `account` that has or had the name `name`. */
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

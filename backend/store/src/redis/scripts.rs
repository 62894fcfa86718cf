//! The Lua scripts, each with the parts it includes. Redis caches them by hash (EVALSHA).

use redis::Script;

macro_rules! scripts {
    ($($name:ident $(after $part:literal)?),+ $(,)?) => {
        /// All scripts. The head of each file documents its keys, arguments and reply.
        pub(super) struct Scripts { $(pub(super) $name: Script),+ }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self { $($name: Script::new(concat!(
                    include_str!("scripts/prelude.lua"),
                    $(include_str!(concat!("scripts/", $part, ".lua")),)?
                    include_str!(concat!("scripts/", stringify!($name), ".lua")),
                ))),+ }
            }
        }
    };
}

scripts! {
    claim_name,
    release_name,
    renew_name,
    take_name,
    hold_name,
    create_account,
    settle_account,
    use_account,
    add_device after "device",
    use_device after "device",
    remove_device after "device",
    link_credential after "device",
    put_identity,
    append_entry after "device",
    read_identity,
    open_link after "link",
    use_link after "link",
    post_to_link after "link",
    read_link after "link",
    approve_link after "link",
    claim_link after "link",
    spend,
    sessions after "session",
    read_session after "session",
    read_history,
    update_session after "session",
    delete_session after "session",
    open_run after "session",
    append_run,
    close_run after "session",
    read_run,
    stop_run,
    append_event after "inbox",
    append_receipt after "inbox",
    append_messages after "inbox",
    append_conversation after "bodies",
    read_conversation after "bodies",
    read_inbox after "bodies",
    read_received,
    advance_received,
    read_conversations,
    arrive,
    depart,
    enter_lobby,
    leave_lobby,
    rename_in_lobby,
    read_lobby,
}

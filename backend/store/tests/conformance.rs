//! One suite for every store: the promises of the traits, checked on SQLite, Redis, Redis over TLS
//! and a Redis cluster.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "conformance/accounts.rs"]
mod accounts;
#[path = "conformance/broker.rs"]
mod broker;
#[path = "conformance/devices.rs"]
mod devices;
#[path = "conformance/identities.rs"]
mod identities;
#[path = "conformance/links.rs"]
mod links;
#[path = "conformance/lifetimes.rs"]
mod lifetimes;
#[path = "conformance/mailboxes.rs"]
mod mailboxes;
#[path = "conformance/names.rs"]
mod names;
#[path = "conformance/presence.rs"]
mod presence;
#[path = "support/redis_server.rs"]
#[expect(dead_code, reason = "the fault tests use the rest")]
mod redis_server;
#[path = "conformance/runs.rs"]
mod runs;
#[path = "conformance/sessions.rs"]
mod sessions;
#[path = "support/bed.rs"]
mod support;

/// Each case takes a `Bed` and makes the stores it needs there.
macro_rules! suite {
    ($($topic:ident: $($case:ident),+;)+) => {
        mod sqlite { $($(
            #[tokio::test]
            async fn $case() { super::$topic::$case(&super::support::Bed::sqlite()).await }
        )+)+ }
        mod redis { $($(
            #[tokio::test]
            async fn $case() { super::$topic::$case(&super::support::Bed::redis().await).await }
        )+)+ }
        mod redis_over_tls { $($(
            #[tokio::test]
            async fn $case() { super::$topic::$case(&super::support::Bed::redis_over_tls().await).await }
        )+)+ }
        mod redis_cluster {
            /// One cluster for all cases: it takes a moment to form. Emptied before each case.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_cluster_of_three_passes_the_suite() {
                let bed = super::support::Bed::redis_cluster().await;
                $($(
                    bed.empty().await;
                    Box::pin(super::$topic::$case(&bed)).await;
                )+)+
            }
        }
    };
}

suite! {
    accounts:
        a_credential_opens_its_account_until_it_is_revoked,
        an_unused_account_expires,
        an_account_that_was_only_opened_expires_soon,
        a_new_account_has_its_name_or_is_not_made,
        concurrent_openings_with_one_name_create_one_account,
        accounts_of_one_network_are_limited,
        requests_of_one_network_are_limited_by_kind;
    names:
        a_taken_username_is_refused_and_so_is_one_that_looks_the_same,
        a_name_given_up_is_held_back_for_its_account,
        a_reserved_name_becomes_free,
        an_account_holds_back_a_bounded_number_of_names,
        a_rename_is_sent_to_the_accounts_concerned,
        concurrent_claims_of_one_name_have_one_winner;
    devices:
        a_device_keeps_its_signing_key,
        only_a_higher_generation_replaces_the_keys_of_a_device,
        concurrent_generations_end_with_the_highest,
        an_account_has_a_bounded_number_of_devices,
        a_removed_device_never_comes_back,
        removing_a_device_revokes_the_credentials_it_used,
        an_account_removes_a_bounded_number_of_devices;
    identities:
        an_identity_is_created_once_and_replaced_by_name,
        concurrent_replacements_have_one_winner,
        a_log_grows_by_one_version_at_a_time,
        concurrent_appends_have_one_winner,
        a_log_is_bounded,
        a_recovery_hash_opens_its_account_until_it_is_replaced,
        a_recovery_hash_belongs_to_one_account,
        an_identity_lives_as_long_as_its_account;
    links:
        a_link_relays_between_a_token_and_one_account,
        a_link_has_bounded_messages_and_bytes,
        an_approval_is_one_step_with_its_log_entry,
        an_approval_is_for_one_device_of_the_bound_account,
        a_claim_needs_the_token_and_the_approval_and_works_once,
        concurrent_claims_have_one_winner,
        a_removed_device_never_comes_back_by_a_link,
        removing_an_approved_device_revokes_what_it_claimed,
        a_link_expires;
    sessions:
        sessions_are_listed_latest_first_and_only_to_their_owner,
        a_patch_changes_what_it_names,
        a_session_expires_after_its_last_message,
        a_deleted_session_takes_its_messages_and_runs_with_it;
    runs:
        an_opened_run_appends_the_question_and_shows_the_history,
        only_the_newest_messages_are_kept,
        an_idempotency_key_names_one_run,
        a_session_has_one_active_run,
        a_retried_opening_appends_nothing_twice,
        a_log_is_read_in_order_and_in_parts,
        a_closed_run_takes_no_more_events,
        a_foreign_run_does_not_exist,
        a_stop_reaches_the_owner,
        a_run_without_a_living_owner_is_reaped,
        a_finished_log_expires;
    mailboxes:
        a_message_reaches_both_inboxes,
        a_retry_of_the_same_cid_gives_the_same_answer,
        another_envelope_with_the_same_cid_is_rejected,
        concurrent_envelopes_with_one_cid_have_one_winner,
        an_unknown_recipient_is_rejected,
        concurrent_senders_leave_no_gap_and_no_duplicate,
        an_inbox_is_read_in_pages_and_trimmed_from_the_oldest,
        an_inbox_expires_but_its_positions_continue,
        senders_get_one_receipt_per_advance,
        read_marks_never_go_back_nor_ahead,
        conversations_are_listed_latest_first,
        a_conversation_is_read_in_pages_by_its_members_only,
        a_note_to_oneself_is_one_event,
        old_messages_leave_a_conversation;
    lifetimes:
        a_message_expires_and_its_number_and_positions_stay_assigned,
        expired_messages_do_not_shorten_a_page,
        receipts_count_expired_messages,
        a_retry_of_an_expired_message_gives_the_same_answer,
        a_retry_does_not_change_the_lifetime,
        messages_with_a_lifetime_are_trimmed_like_others;
    presence:
        an_account_is_online_from_its_first_to_its_last_connection,
        a_connection_expires_unless_renewed,
        the_lobby_is_in_order_of_name,
        lobby_entries_expire,
        a_person_in_the_lobby_is_renamed_at_once;
    broker:
        a_write_on_one_node_wakes_the_other,
        a_payload_arrives_as_it_was_sent,
        a_topic_wakes_only_its_own_listeners,
        a_probe_proves_the_path;
}

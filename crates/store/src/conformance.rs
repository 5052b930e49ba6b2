//! What every back end must do, case by case. A change of the traits begins here.
//!
//! A back end calls [`crate::conformance!`] with an async function that makes an empty store:
//!
//! ```ignore
//! async fn make() -> (TempDir, Arc<dyn Store>) { … }
//!
//! watchfire_store::conformance!(make);
//! ```
//!
//! The first half of the pair is dropped when the case has ended.

pub mod activity;
pub mod append;
pub mod attempted;
pub mod audit;
pub mod by_hand;
pub mod changes;
pub mod claim;
pub mod configuration;
pub mod credentials;
pub mod endpoints;
pub mod history;
pub mod mail;
pub mod nodes;
pub mod notices;
pub mod order;
pub mod prune;
pub mod races;
pub mod recipes;
pub mod record;
pub mod recover;
pub mod retention;
pub mod search;
pub mod shards;
pub mod task_steps;
pub mod tasks;
pub mod tokens;
pub mod world;

/// A case that has not begun.
pub type Case = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Makes one test for each case. The list is checked against the modules by a test of this crate.
///
/// `conformance!(all $make)` is a list of the cases instead, for a test that runs them all: futures
/// with their names.
#[macro_export]
macro_rules! conformance {
    ($make:ident) => {
        $crate::conformance! { @list tests $make }
    };
    (all $make:ident) => {
        $crate::conformance! { @list all $make }
    };
    (@list $form:ident $make:ident) => {
        $crate::conformance! { @$form $make;
            append {
                a_message_is_stored_as_it_was_given
                everything_a_message_can_have_is_kept
                a_record_key_may_hold_any_character
                places_rise_in_the_order_of_the_batch
                an_empty_batch_is_no_fault
                a_message_without_endpoints_is_stored
                a_thousand_endpoints_fit_into_one_message
                an_event_id_that_is_taken_stores_nothing
                an_event_id_belongs_to_its_application
                the_second_of_two_equal_event_ids_in_a_batch_conflicts
                a_conflict_leaves_the_rest_of_its_batch_alone
                a_remembered_key_repeats_its_answer
                a_key_remembered_in_the_same_batch_repeats_it
                an_expired_answer_gives_way
                a_message_in_conflict_leaves_no_answer_behind
            }
            record {
                a_delivery_that_succeeds_at_once_is_settled
                every_outcome_is_kept
                everything_an_attempt_can_have_is_kept
                a_failed_attempt_makes_the_delivery_owed
                every_settlement_ends_the_delivery
                the_same_record_twice_counts_once
                writes_about_a_message_that_is_gone_are_dropped_alone
                a_message_of_another_application_takes_no_attempt
                health_changes_together_with_the_attempt
                a_stale_write_changes_no_health
                counts_follow_what_was_recorded
                a_spilled_delivery_is_owed
                the_earlier_due_time_wins_with_its_series
                a_late_failure_does_not_postpone_a_resend
                a_settled_delivery_can_be_asked_for_again
                a_resend_asked_for_during_an_attempt_is_not_lost
                a_spill_during_an_attempt_leaves_it_alone
            }
            claim {
                only_what_is_due_is_leased
                urgent_ones_come_first_then_the_longest_due
                a_leased_delivery_is_not_leased_again
                a_claim_carries_all_that_is_needed
                tokens_rise_with_each_claim
                an_expired_lease_counts_as_none
                late_result_of_expired_lease_is_dropped
                a_late_result_counts_while_nobody_took_over
                a_result_counts_once
                a_stale_write_is_dropped_alone
                a_retry_ends_the_lease
                a_returned_delivery_is_due_again
                a_claim_says_what_is_still_owed
                a_claim_for_pings_takes_nothing_else
                a_claim_ends_at_a_number_of_payload_bytes
                endpoints_that_owe_are_listed_by_key
                hasten_makes_an_endpoints_deliveries_due
                hasten_leaves_turns_and_fixed_times_alone
                a_large_backlog_is_hastened_whole
                joining_again_ends_the_nodes_own_claims
                an_endpoint_of_another_node_yields_nothing
            }
            order {
                a_later_one_is_parked_behind_an_earlier_one
                a_fixed_time_is_not_lost_to_a_turn
                a_claim_parks_what_is_blocked
                urgency_does_not_overtake_a_record
                settling_wakes_the_next_and_only_it
                settling_a_fresh_one_wakes_the_next
                a_retry_goes_on_blocking
                an_expired_lease_goes_on_blocking
                other_records_and_endpoints_are_not_held_up
                a_returned_one_can_wait_for_its_turn
                a_resend_of_an_earlier_one_goes_first
                records_stay_in_order_whatever_happens
            }
            recover {
                fresh_deliveries_are_unfinished
                what_is_settled_owed_or_leased_is_not_unfinished
                unfinished_ones_are_read_page_by_page
                only_what_stands_above_is_unfinished
                another_nodes_messages_are_left_out
                messages_without_endpoints_are_left_out
                the_checkpoint_never_moves_back
                a_check_writes_and_reads
                a_database_knows_its_size_and_schema
            }
            configuration {
                an_application_is_found_by_each_of_its_names
                organizations_do_not_see_each_other
                a_uid_is_unique_among_the_living
                changes_are_applied_whole_or_not_at_all
                an_update_needs_the_revision_that_was_read
                a_deleted_application_is_gone_with_its_endpoints
                applications_are_listed_both_ways
                an_event_type_is_created_once_and_revived
                a_deleted_event_type_is_gone
                event_types_are_listed_by_name
                an_answer_is_remembered_with_the_changes
                an_id_nobody_has_finds_nothing
                contracts_in_use_are_those_of_live_applications
            }
            tokens {
                a_token_is_void_in_every_set_it_is_in
                tokens_made_later_stay_valid
                a_set_can_be_void_from_a_later_time_on
                what_is_implied_makes_room
                an_organization_has_a_limited_number_of_void_sets
                a_deleted_application_leaves_no_void_tokens
                void_tokens_are_forgotten_when_none_would_be_valid
                void_tokens_are_logged
            }
            credentials {
                a_key_is_kept_as_it_was_given
                a_revoked_key_is_gone
                another_organization_cannot_revoke_a_key
                a_key_belongs_to_an_application_of_its_organization
                a_deleted_application_takes_its_keys_along
                keys_are_listed_both_ways
                an_owner_has_a_limited_number_of_keys
                the_last_use_only_moves_forward
            }
            endpoints {
                applications_are_listed_by_what_endpoints_they_have
                an_endpoint_is_kept_as_it_was_given
                an_application_and_its_endpoint_are_created_in_one_list
                applications_do_not_see_each_others_endpoints
                an_endpoints_uid_is_free_once_it_is_deleted
                an_update_of_an_endpoint_leaves_its_health
                endpoints_that_are_not_active_are_listed
                ids_of_deleted_endpoints_are_known
                endpoints_are_listed_both_ways
                an_application_has_a_limited_number_of_endpoints
            }
            history {
                a_message_is_found_by_both_of_its_ids
                messages_are_listed_both_ways
                messages_are_filtered_within_full_pages
                a_list_can_leave_the_payloads_out
                messages_are_found_by_their_places
                attempts_of_an_endpoint_are_listed_both_ways
                attempts_are_filtered_by_how_they_ended
                attempts_are_filtered_by_their_message
                attempts_of_a_message_are_listed_over_all_endpoints
                no_list_shows_another_applications_rows
                an_attempt_names_an_endpoint_that_was_deleted_since
            }
            attempted {
                attempted_messages_say_where_they_stand
                attempted_messages_are_listed_once_and_both_ways
                a_resend_that_fails_changes_what_the_message_shows
                an_expunged_payload_is_gone_and_the_rest_stays
                an_expunged_response_is_gone_and_the_attempt_stays
                a_list_can_leave_the_answers_out
            }
            notices {
                a_notice_is_written_with_its_attempt
                a_late_result_tells_nobody
                what_was_told_waits_no_longer
                a_storm_makes_one_line_until_it_is_read
                an_inbox_belongs_to_one_organization
                old_lines_go
            }
            search {
                deliveries_are_found_by_how_they_stand
                what_is_found_says_how_it_stands
                deliveries_are_found_by_the_class_of_the_last_answer
                deliveries_are_found_by_their_message
                a_search_visits_everything_once
                a_resend_to_an_endpoint_it_did_not_match_is_found
                no_search_shows_another_applications_deliveries
                a_record_is_read_in_order_and_both_ways
                the_head_of_a_record_and_what_waits_behind_it_are_known
            }
            activity {
                what_is_accepted_and_settled_is_counted
                a_repeated_or_late_result_counts_nothing
                an_event_that_conflicts_is_not_counted
                lags_are_kept_by_bucket
                activity_is_read_by_the_minute_and_by_the_hour
                minutes_become_hours_and_no_count_is_lost
                old_activity_goes
                nobody_sees_anothers_activity
                an_endpoints_hours_are_listed
                an_event_types_messages_are_counted_by_the_hour
                what_is_owed_now_is_known
                an_endpoints_last_attempt_is_known
            }
            audit {
                a_line_is_kept_as_it_was_given
                a_line_of_a_change_that_is_refused_is_not_kept
                lines_are_listed_by_application_and_object
                the_log_is_listed_both_ways
                old_lines_of_the_log_go
            }
            mail {
                a_mail_is_counted_with_its_attempt
                what_is_not_to_be_mailed_is_not_counted
                a_storm_is_one_mail_and_the_rest_another
                after_its_rest_a_kind_begins_anew
                a_mail_is_leased_once_and_again_when_the_lease_ends
                a_claim_ends_with_the_life_that_made_it
                a_life_that_leaves_gives_back_what_it_claimed
                those_who_were_not_told_are_told_later
                a_claim_is_bounded_and_takes_the_longest_due
            }
            retention {
                an_organization_keeps_its_messages_for_its_own_time
                times_that_change_hold_for_what_is_there
                what_is_owed_stays_and_hides_nothing_behind_it
            }
            prune {
                payloads_go_at_their_age_and_messages_at_theirs
                a_message_can_ask_for_less
                what_is_not_settled_everywhere_stays
                a_run_removes_a_bounded_number_of_rows
                a_message_with_many_attempts_goes_in_parts
                places_are_not_given_again
                an_event_id_is_free_once_its_message_is_gone
                expired_answers_go
                a_deleted_application_loses_all_it_had
                a_deleted_endpoints_history_lives_as_long_as_its_messages
                old_counts_go_and_young_ones_stay
                a_payload_is_removed_while_the_delivery_is_owed
            }
            recipes {
                a_recipe_has_one_number_with_each_endpoint
                a_recipe_of_another_application_is_not_found
                recipes_told_of_at_once_have_numbers_of_their_own
                a_recipe_goes_with_the_last_attempt_of_its_time
                a_recipe_in_use_stays
                a_recipe_outlives_its_endpoint_while_an_attempt_is_left
                a_deleted_applications_recipes_go_at_once
            }
            by_hand {
                a_skipped_head_is_settled_and_wakes_the_next
                only_a_head_nobody_has_leased_is_skipped
                a_skip_and_a_claim_do_not_both_win
                a_delivery_cancelled_by_hand_wakes_the_next
                only_what_nobody_has_leased_is_cancelled_by_hand
            }
            tasks {
                a_task_is_kept_as_it_was_given
                an_application_has_a_limited_number_of_running_tasks
                a_task_needs_a_live_endpoint
                a_task_may_be_about_more_than_an_endpoint
                a_task_needs_a_live_application
                an_organization_has_a_limited_number_of_running_tasks
                a_task_is_created_together_with_its_answer
                tasks_are_listed_by_organization_kind_and_state
                what_failed_in_the_span_is_found_and_nothing_else
                what_was_settled_is_found_by_how_it_ended
                what_never_went_to_the_endpoint_is_found
                what_is_owed_is_found_with_its_standing
                candidates_are_filtered_by_what_the_message_says
                a_walk_visits_everything_once
            }
            task_steps {
                a_step_makes_deliveries_and_moves_on_together
                a_step_is_done_once
                a_delivery_that_moved_on_is_left_alone
                a_message_without_its_payload_is_left_out
                a_cancelled_delivery_is_settled_and_wakes_the_next
                a_leased_delivery_is_not_cancelled
                a_cancelled_task_takes_no_step
                a_paused_task_takes_no_step_until_it_is_resumed
                a_paused_task_counts_and_can_be_ended
                a_single_attempt_is_remembered_until_it_was_made
                due_deliveries_are_counted_up_to_a_bound
                tasks_that_ended_go_at_the_age_of_messages
                a_purge_removes_the_payloads_of_its_application
                a_report_grows_with_the_steps_of_its_task
            }
            nodes {
                each_life_has_a_larger_epoch
                a_life_goes_on_where_it_was
                a_new_life_begins_above_what_is_stored
                an_earlier_life_is_fenced_off
                a_fenced_step_of_a_task_is_not_done
                the_living_are_not_undertaken
                a_lease_that_has_ended_can_be_extended
                a_dead_life_is_fenced_off_and_its_claims_end
                what_a_dead_life_left_is_spilled_in_its_name
                an_undertaker_goes_on_with_its_work
                an_undertaker_that_dies_is_replaced
                a_node_comes_back_while_it_is_buried
                who_leaves_frees_its_shards
                places_are_not_given_again_after_everybody_left
                members_say_how_they_are
                a_late_write_of_a_dead_life_leaves_nothing
            }
            shards {
                free_shards_are_taken_up_to_what_is_asked_for
                no_shard_is_held_twice
                only_own_shards_are_given_back
                lists_are_limited_to_shards
                what_is_for_another_node_is_owed_from_the_start
                a_holder_tells_itself_nothing
                a_request_of_another_node_arrives
                what_another_node_hastens_arrives
                arrivals_wait_for_whoever_takes_the_shard
                shards_are_given_back_during_a_stream_of_writes
                a_message_in_conflict_owes_nothing
                an_own_one_waits_for_an_earlier_one_of_its_record
                another_nodes_later_one_waits_for_its_turn
                no_arrival_is_missed
                nothing_is_parked_behind_what_is_settled
                nothing_is_lost_while_a_shard_changes_hands
            }
            changes {
                every_change_others_have_cached_is_logged
                a_revoked_key_is_logged
                a_change_that_was_refused_is_not_logged
                numbers_appear_in_their_order
                old_changes_go
                what_a_person_set_is_not_overwritten
                time_does_not_overwrite_what_a_person_set
            }
            races {
                every_append_gets_its_own_place
                one_of_many_equal_event_ids_wins
                no_delivery_is_leased_twice
                one_of_many_results_of_a_lease_counts
                accepting_delivering_and_claiming_at_once_loses_nothing
                a_caller_that_goes_away_leaves_no_half_work
            }
        }
    };
    (@all $make:ident; $($module:ident { $($case:ident)+ })+) => {
        vec![$($((
            concat!(stringify!($module), "::", stringify!($case)),
            Box::pin(async {
                let (guard, store) = $make().await;
                $crate::conformance::$module::$case(store).await;
                drop(guard);
            }) as $crate::conformance::Case,
        ),)+)+]
    };
    (@tests $make:ident; $($module:ident { $($case:ident)+ })+) => {
        $(mod $module {
            $(#[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (guard, store) = super::$make().await;
                $crate::conformance::$module::$case(store).await;
                drop(guard);
            })+
        })+
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The sources, so that a case nobody runs is found.
    const MODULES: &[(&str, &str)] = &[
        ("activity", include_str!("conformance/activity.rs")),
        ("append", include_str!("conformance/append.rs")),
        ("audit", include_str!("conformance/audit.rs")),
        ("search", include_str!("conformance/search.rs")),
        ("record", include_str!("conformance/record.rs")),
        ("claim", include_str!("conformance/claim.rs")),
        ("order", include_str!("conformance/order.rs")),
        ("by_hand", include_str!("conformance/by_hand.rs")),
        ("recipes", include_str!("conformance/recipes.rs")),
        ("recover", include_str!("conformance/recover.rs")),
        (
            "configuration",
            include_str!("conformance/configuration.rs"),
        ),
        ("credentials", include_str!("conformance/credentials.rs")),
        ("tokens", include_str!("conformance/tokens.rs")),
        ("endpoints", include_str!("conformance/endpoints.rs")),
        ("history", include_str!("conformance/history.rs")),
        ("attempted", include_str!("conformance/attempted.rs")),
        ("nodes", include_str!("conformance/nodes.rs")),
        ("shards", include_str!("conformance/shards.rs")),
        ("changes", include_str!("conformance/changes.rs")),
        ("notices", include_str!("conformance/notices.rs")),
        ("mail", include_str!("conformance/mail.rs")),
        ("prune", include_str!("conformance/prune.rs")),
        ("retention", include_str!("conformance/retention.rs")),
        ("task_steps", include_str!("conformance/task_steps.rs")),
        ("tasks", include_str!("conformance/tasks.rs")),
        ("races", include_str!("conformance/races.rs")),
    ];

    #[test]
    fn every_case_is_listed() {
        let list = include_str!("conformance.rs");
        let listed: BTreeSet<&str> = list.lines().map(str::trim).collect();
        for (module, source) in MODULES {
            for line in source.lines() {
                let case = line
                    .strip_prefix("pub async fn ")
                    .and_then(|rest| rest.split_once('('))
                    .map(|(name, _)| name);
                if let Some(case) = case {
                    assert!(listed.contains(case), "{module}::{case} is not listed");
                }
            }
        }
    }
}

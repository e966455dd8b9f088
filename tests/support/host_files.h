/* SPDX-License-Identifier: MIT
 *
 * support/host_files.h - the cases of support/host_cases.h that are about files: rule R4. Each is a
 * cmocka test whose state is a shoal_case_trial.
 */
#ifndef SHOAL_TESTS_HOST_FILES_H
#define SHOAL_TESTS_HOST_FILES_H

void shoal_case_file_operations_end_in_the_order_they_were_asked_for(void **state);
void shoal_case_a_missing_file_is_not_found_and_removing_it_is_no_error(void **state);
void shoal_case_a_rename_replaces_the_other_file(void **state);
void shoal_case_synced_and_renamed_bytes_survive_a_crash(void **state);
void shoal_case_parts_of_a_named_file_are_read_up_to_its_end(void **state);
void shoal_case_a_named_file_is_found_by_its_name_and_not_its_number(void **state);
void shoal_case_a_truncated_file_goes_on_where_it_was_cut(void **state);
void shoal_case_numbers_without_a_good_name_fail(void **state);
void shoal_case_a_named_file_is_renamed_and_removed_like_others(void **state);
void shoal_case_appends_without_a_tag_come_in_order_while_syncs_run(void **state);
void shoal_case_synced_bytes_of_a_named_file_survive_a_crash(void **state);

#endif

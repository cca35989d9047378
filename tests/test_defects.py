"""What went wrong in the Rust original, number by number, and the tests that show it cannot here.

The numbers are those of the list of defects in the design. A test that is renamed or removed is
missed here; what no other test shows is shown at the end.
"""

from __future__ import annotations

import ast
import errno
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet
from msgspec.structs import replace

from batpak.coordinate import Coordinate
from batpak.errors import DurabilityUnknown, StorePoisoned
from batpak.report import Watermark
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from batpak.wire import RAW
from tests.facts import FAST, PLAIN, SMALL, USER, Counted
from tests.unit.store.test_projections import Sum, Total
from tests.unit.test_wire import PARCEL

HERE: Final = Path(__file__).parent
DEFECTS: Final = """
1 retention rewrites what stays, and it cannot be read
  unit/store/test_compaction.py
    test_files_become_one_and_every_record_stays
  property/test_compaction.py
    test_after_any_compaction_every_read_is_what_the_model_says
2 compaction and crashes number the events anew
  unit/store/test_compaction.py
    test_a_merge_can_be_merged_again_and_survives_a_reopen
  unit/journal/test_golden.py
    test_each_preimage_is_the_published_one
3 what is appended while files are exchanged is gone until the next open
  unit/store/test_compaction.py
    test_every_append_meanwhile_is_there
4 a snapshot into the directory of the store deletes it
  unit/store/test_snapshots.py
    test_a_place_that_is_taken_is_refused_and_nothing_is_touched
5 versions and links begin again inside a fence, and behind one that was cancelled
  unit/store/test_fences.py
    test_nothing_is_seen_before_the_commit_and_all_of_it_after
    test_a_cancelled_fence_leaves_no_trace
6 a batch that failed takes later appends with it, also over an open
  crash/test_batches.py
    test_a_batch_that_failed_is_nowhere_when_its_neighbours_are_read_from_the_frames
  unit/recovery/test_restore.py
    test_a_batch_that_is_not_whole_is_torn_with_all_its_items
7 a write that was done in part moves what is written behind it
  unit/commit/test_lane.py
    test_a_write_that_ends_in_the_middle_is_cut_back
  unit/commit/test_syncs.py
    test_a_refused_write_is_taken_back_and_the_next_one_has_its_place
8 behind damage inside a file the rest of it is dropped, with a warning
  unit/recovery/test_restore.py
    test_damage_that_a_later_event_proves_durable_is_refused
    test_a_sealed_file_that_was_cut_is_refused
9 an append is answered before its sync, and a sync that failed is only logged
  unit/commit/test_syncs.py
    test_every_append_is_synced_before_it_is_answered
  unit/commit/test_lane.py
    test_a_failed_sync_poisons_and_is_never_tried_again
10 the hash covers the payload only
  tamper/test_proofs.py
    test_every_part_of_every_event_is_covered
11 what is durable is told by comparing wall clocks
  unit/store/test_waits.py
    test_a_wall_clock_that_runs_backwards_changes_no_answer
12 projections count what is in a fence, and what was cancelled
  test_defects.py
    test_a_projection_counts_nothing_of_a_fence_that_is_open_or_cancelled
13 an expected version of 0 fits no event, and one
  unit/store/test_append.py
    test_an_expected_version_is_a_count
14 the version is looked at before the key
  unit/store/test_append.py
    test_a_repeated_key_returns_the_first_receipt_before_the_version_is_looked_at
15 a key is accepted with another payload, and retention frees it
  unit/store/test_append.py
    test_a_key_used_for_something_else_is_a_conflict
  unit/store/test_compaction.py
    test_a_repeated_append_still_finds_what_was_removed
16 a receipt that is not signed, or was altered, is verified as true
  tamper/test_receipts.py
    test_a_signature_that_was_taken_off_is_missed
    test_a_receipt_with_any_bit_changed_is_not_what_was_signed
    test_a_verdict_is_not_true_or_false
17 keys twice in one batch, flags of items that are lost, fences that check nothing
  unit/store/test_batches.py
    test_keys_of_items_are_all_there_or_none_and_never_twice
    test_receipts_say_what_is_read_back_later
  unit/store/test_fences.py
    test_what_is_staged_is_judged_at_once_with_what_was_staged_before
18 waits stay broken after a writer that failed and was started again
  test_defects.py
    test_who_waits_on_the_handle_after_a_poisoned_one_is_let_go_as_ever
19 a worker that has given up is joined as if it had succeeded
  unit/store/test_workers.py
    test_what_always_fails_stops_the_worker_and_the_checkpoint_stays
20 any projection stops the mark of what was applied
  test_defects.py
    test_a_projection_is_no_applier
21 a walk of ancestors jumps over equal payloads, and ends early in silence
  unit/store/test_ancestry.py
    test_equal_payloads_give_different_ancestors_down_to_the_first
    test_a_link_that_does_not_hold_ends_the_walk
22 the id of a checkpoint is a path, its file has no checksum, regions pass for each other
  unit/store/test_checkpoints.py
    test_only_names_of_files_are_ids
    test_each_flipped_bit_is_corrupt_and_so_is_each_cut
  unit/test_region.py
    test_the_identity_is_framed_so_that_no_two_regions_share_one
23 kinds and names of the library are open to everybody
  unit/test_kind.py
    test_what_a_user_may_not_write_is_refused_with_its_reason
  unit/test_coordinate.py
    test_the_library_keeps_one_prefix_for_itself
24 how many appends share a sync changes what a key means
  unit/store/test_batches.py
    test_a_key_of_a_batch_is_known_to_its_neighbours_in_the_group
  unit/store/test_tickets.py
    test_one_key_with_two_payloads_is_one_event_and_the_other_is_refused
25 a slow subscriber is removed, and a watcher then says that the store is closed
  unit/store/test_subscriptions.py
    test_what_is_dropped_is_counted_and_where_it_was_is_said
  unit/store/test_projections.py
    test_a_watcher_gives_the_newest_state_at_once_and_then_as_they_come
26 a flush inside an open fence waits for itself
  unit/store/test_fences.py
    test_a_ticket_of_an_open_fence_is_not_waited_for_without_end
    test_a_removal_is_refused_at_once_to_who_has_a_fence_open
27 a reactor that nobody joins swallows errors and keeps the store open
  unit/store/test_reactors.py
    test_a_reaction_that_is_refused_is_a_failure
  unit/store/test_workers.py
    test_a_program_that_ends_without_a_close_ends_its_workers
28 a prefix that ends in a colon matches nothing
  unit/test_region.py
    test_an_entity_is_a_namespace_and_not_a_text_prefix
29 a join stops nothing, and a close needs to be the only owner
  unit/store/test_workers.py
    test_leaving_the_block_raises_what_went_wrong_unless_something_else_did
    test_a_close_lets_the_batch_in_hand_finish
30 bytes in payloads are stored as arrays of integers
  test_defects.py
    test_bytes_in_a_payload_are_stored_as_bytes
31 ways to make it fail are built in, and errors are told apart by their text
  test_layers.py
    test_imports_go_down_and_the_world_has_doors
  unit/test_errors.py
    test_an_error_survives_pickling_with_its_text_and_all_details
32 a compaction of nothing crashes, and a generation goes back
  unit/store/test_compaction.py
    test_a_store_without_a_complete_file_is_left_alone
    test_a_kept_state_is_not_used_once_events_were_removed
33 a fence that was open is visible after a crash, and the numbers it burned move others
  test_defects.py
    test_a_fence_that_was_open_in_a_crash_leaves_no_event_and_no_number
34 a crash between two steps of a compaction hides files
  unit/store/test_compaction.py
    test_leftovers_of_a_compaction_are_not_read_and_then_removed
  proof/test_proof.py
    test_every_promise_holds
35 a crash while a file is begun makes a store that does not open
  unit/recovery/test_restore.py
    test_an_interrupted_creation_is_finished
    test_a_crash_between_the_two_names_of_a_rotation_opens
36 eight zeros are a frame, and frames that changed places pass
  unit/journal/test_frame.py
    test_a_length_of_zero_is_no_frame_whatever_its_checksum
    test_a_body_is_read_back_from_its_own_place_only
37 a receipt is good for a copy of the store, and a cancelled key is in the log twice
  tamper/test_receipts.py
    test_the_receipt_of_another_store_is_told
  unit/store/test_fences.py
    test_a_cancelled_fence_leaves_its_keys_free
38 one wrong byte in a file of a cache keeps the store from being opened
  unit/cache/test_caches.py
    test_a_file_with_any_bit_flipped_is_removed_and_was_never_there
  unit/index/test_index.py
    test_every_damaged_byte_of_a_footer_is_refused_or_made_good
"""


def table() -> Iterator[ParameterSet]:
    """Each defect: its number and what it was, and the tests that show it, by their files."""
    for one in re.split(r"\n(?=\d)", DEFECTS.strip()):
        head, *lines = one.split("\n")
        shown: list[tuple[str, str]] = []
        path = ""
        for line in lines:
            if line.startswith("    "):
                shown.append((path, line.strip()))
            else:
                path = line.strip()
        yield pytest.param(shown, id=head)


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    body = ast.parse((HERE / path).read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef))


@pytest.mark.parametrize("shown", [*table()])
def test_no_defect_of_the_rust_original_is_without_tests(shown: list[tuple[str, str]]) -> None:
    assert shown
    for path, name in shown:
        assert name in names_in(path), f"{path}: {name}"


def test_the_table_has_all_38_defects() -> None:
    numbers = [int(number) for number in re.findall(r"^\d+", DEFECTS, re.MULTILINE)]
    assert numbers == list(range(1, 39))


# ------------------------------------------------------------------- shown by no other test


def test_a_projection_counts_nothing_of_a_fence_that_is_open_or_cancelled() -> None:
    with Store.open("store", FAST, platform=SimPlatform()) as store:
        store.append(USER, Counted(n=1))
        fence = store.visibility_fence()
        fence.append(USER, Counted(n=10))
        assert store.project(Sum(), USER.entity) == Total(1, 1)
        fence.cancel()
        assert store.project(Sum(), USER.entity) == Total(1, 1)
        store.append(USER, Counted(n=100))
        assert store.project(Sum(), USER.entity) == Total(101, 2)


def test_who_waits_on_the_handle_after_a_poisoned_one_is_let_go_as_ever() -> None:
    sim = SimPlatform()
    store = Store.open("store", SMALL, platform=sim)
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown):
        store.append(USER, Counted(n=1))
    with pytest.raises(StorePoisoned):
        store.wait_for(Watermark.DURABLE, 1, timeout_s=1)
    store.close()
    with Store.open("store", SMALL, platform=sim) as again:
        receipt = again.append(USER, Counted(n=2))
        for mark in (Watermark.VISIBLE, Watermark.DURABLE):
            assert again.wait_for(mark, receipt, timeout_s=1).durable == receipt.sequence + 1


def test_a_projection_is_no_applier() -> None:
    with Store.open("store", FAST, platform=SimPlatform()) as store:
        for n in range(3):
            store.append(USER, Counted(n=n))
            assert store.project(Sum(), USER.entity) == Total(sum(range(n + 1)), n + 1)
            assert store.frontier().applied == n + 1
        with store.applier("mine") as applier:
            store.append(USER, Counted(n=3))
            assert store.project(Sum(), USER.entity) == Total(6, 4)
            assert store.frontier().applied == 3
            applier.advance(3)
            assert store.frontier().applied == 4


def test_bytes_in_a_payload_are_stored_as_bytes() -> None:
    with Store.open("store", FAST, platform=SimPlatform()) as store:
        seal = bytes(range(200, 216))
        receipt = store.append(USER, replace(PARCEL, seal=seal))
        stored = store.get(receipt.event_id, form=RAW).payload
        assert b"\xc4\x10" + seal in stored


def test_a_fence_that_was_open_in_a_crash_leaves_no_event_and_no_number() -> None:
    sim = SimPlatform()
    store = Store.open("store", PLAIN, platform=sim)
    store.append(USER, Counted(n=0))
    fence = store.visibility_fence()
    fence.append(USER, Counted(n=1))
    fence.append(Coordinate("user:2", "acme"), Counted(n=2))
    for model in CrashModel:
        with Store.open("store", PLAIN, platform=sim.crash(model)) as after:
            assert [event.payload for event in after.query()] == [Counted(n=0)]
            receipt = after.append(USER, Counted(n=3))
            assert (receipt.sequence, receipt.version) == (1, 2)
            assert after.verify().ok
    fence.cancel()
    store.close()

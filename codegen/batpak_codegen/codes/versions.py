"""Codes of versions: hops, the lock, and what a change does to what is stored."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code

CODES: Final = (
    Code(
        "E0801",
        "a version that nothing leads to",
        "An event with a version above 1 has older shapes in stores. Each of them needs a step "
        "that leads to the next one; without it, stored events could not be read.",
        "events:\n  OrderPaid: {id: 1, version: 2, fields: {}}",
    ),
    Code(
        "E0802",
        "steps that do not give the next version",
        "The steps of a hop are applied to the frozen shape it begins at, and must give the next "
        "one exactly. The message lists what is missing, left over or of another type. What steps "
        "cannot say is `python`: a method of yours.",
        "`1: [drop: [promo_code]]`, and version 2 also has a field that version 1 had not.",
    ),
    Code(
        "E0803",
        "a bad step",
        "Steps are rename, add, drop, wrap, cast and map_enum. Each names fields that are there at "
        "that point, is total, and gives literals that the new field can hold. Hops begin at "
        "former versions.",
        "`add: {count: many}`, where `count` is an i32.",
    ),
    Code(
        "E0804",
        "a lock file that cannot be read",
        "`batpak lock` writes the lock, and nobody else. A line it would not write was edited, "
        "comes from another batpak, or is the mark of a merge: keep the lines of both sides.",
        "batpak.lock was merged by hand, and `<<<<<<<` is still in it.",
    ),
    Code(
        "E0805",
        "a line of the lock is lost",
        "The lock says what was promised to stored bytes. Lines are added and never removed or "
        "changed; put the line back from the history of the file.",
        "Somebody tidied batpak.lock.",
    ),
    Code(
        "E0806",
        "two heads",
        "Two branches froze the same revision of a shape, or the same hop, in different ways. "
        "After the merge `batpak lock` writes a revision that must read both; a hop of one branch "
        "needs a version of its own.",
        "Both sides of a merge added a field to OrderPaid and ran `batpak lock`.",
    ),
    Code(
        "E0807",
        "a name that had another kind",
        "An event that was frozen keeps its number for ever, and its name belongs to that number. "
        "Put the number back, or give the new event a new name.",
        "OrderPaid had `id: 0x002` in a released version and has `id: 0x012` now.",
    ),
    Code(
        "E0808",
        "a version that went back",
        "A newer version of the event is frozen, so events of it may be stored. Versions count up.",
        "OrderPaid is frozen as version 3, and the schema says `version: 2`.",
    ),
    Code(
        "E0809",
        "a shape that is not frozen",
        "What is released must be in the lock: only then a later change can be held against it. "
        "Run `batpak lock`, and commit what it wrote.",
        "An event was added, and `batpak lock --check` runs before `batpak lock`.",
    ),
    Code(
        "E0810",
        "a frozen hop that was changed",
        "Stored events are read through the hop. Another one would change what they mean. Put it "
        "back, and say the change in a new version.",
        "`add: {note: null}` of a released hop now says `add: {note: none}`.",
    ),
    Code(
        "E0811",
        "stored events that cannot be read",
        "`batpak compat --store` reads every event of a store with the generated code: each is "
        "decoded as the version it was written as, then upcast. The message says which events "
        "cannot be read, and the help what to do.",
        "A store has events of kind 0x2009, and no schema declares that kind any more.",
    ),
    Code(
        "C101",
        "a field was added that may be null or has a default",
        "Old events are read with null or the default; old code ignores the field. Nothing breaks.",
        "`tracking: string?` is new in OrderShipped.",
    ),
    Code(
        "C102",
        "a required field was added",
        "Old events do not have it, so they cannot be read. Give it a `?` or a default, or raise "
        "the version and write a hop.",
        "`carrier: Carrier` is new in OrderShipped.",
    ),
    Code(
        "C103",
        "a field was removed",
        "New code reads old events and ignores it. Old code that is still running needs it if it "
        "was required; that counts in mode full_transitive only.",
        "OrderPlaced has no `note` any more.",
    ),
    Code(
        "C104",
        "a field was renamed",
        "The stored key is the name. Keep the key with `wire:`, or raise the version and write a "
        "hop.",
        "`email` is called `customer_email` now.",
    ),
    Code(
        "C105",
        "a field may be null now",
        "New code reads old events. Old code that is still running fails at a null; that counts in "
        "mode full_transitive only.",
        "`note: string` became `note: string?`.",
    ),
    Code(
        "C106",
        "a field may not be null any more",
        "Old events may have null there. Put the `?` back, or raise the version and write a hop.",
        "`note: string?` became `note: string`.",
    ),
    Code(
        "C107",
        "the width of a whole number changed",
        "Ranges are checked when something is appended, never when it is read. A narrower one can "
        "refuse commands that used to pass.",
        "`quantity: i64` became `quantity: i32`.",
    ),
    Code(
        "C108",
        "a whole number became a float, or the other way round",
        "A float holds whole numbers exactly up to 2^53 only, and a float is no whole number. "
        "Raise the version and write a hop.",
        "`weight: i64` became `weight: float`.",
    ),
    Code(
        "C109",
        "text became a decimal, uuid, enum or date",
        "Both are stored as text, but not every old text is a value of the new type. Raise the "
        "version and write a hop.",
        "`total: string` became `total: {type: decimal, precision: 18, scale: 2}`.",
    ),
    Code(
        "C110",
        "the digits of a decimal changed",
        "Digits are checked when something is appended, never when it is read. Fewer can refuse "
        "commands that used to pass.",
        "`scale: 2` became `scale: 4`.",
    ),
    Code(
        "C111",
        "another type",
        "What is stored cannot be read as the new type. Raise the version and write a hop.",
        "`lines: list<Line>` became `lines: set<Line>`.",
    ),
    Code(
        "C112",
        "a member was added to an enum",
        "New code reads old events. Old code that is still running does not know the member; if "
        "the enum is open it reads UNRECOGNIZED. That counts in mode full_transitive only.",
        "`NOK: nok` is new in Currency.",
    ),
    Code(
        "C113",
        "a member of an enum was removed, or is stored otherwise",
        "Stored events that have it could not be read. Put the member back.",
        "Currency has no `USD` any more.",
    ),
    Code(
        "C114",
        "the members of a union changed",
        "A new member is fine for new code. A member that is gone, or has another tag, leaves "
        "stored events that nobody reads.",
        "PaymentMethod has no `bank` any more.",
    ),
    Code(
        "C115",
        "a default changed",
        "Events that were stored without the field would mean something else from now on. Put the "
        "default back, or raise the version and write a hop.",
        "`default: 0` became `default: 1`.",
    ),
    Code(
        "C116",
        "an enum was opened or closed",
        "Only known members are ever stored, so nothing breaks.",
        "CancelReason has `open: true` now.",
    ),
    Code(
        "C120",
        "a number, prefix or place changed",
        "Kinds, categories, entity templates, scopes, id prefixes and stored keys say where stored "
        "events are found. Another one orphans them.",
        "`entity: order:{order_id}` became `entity: orders:{order_id}`.",
    ),
    Code(
        "C121",
        "an event is gone without a trace",
        "Its number could be given to another event, which would then read its bytes. List it "
        "under `retired:`.",
        "OrderArchived was deleted, and `retired:` does not name its number.",
    ),
    Code(
        "C122",
        "a name that was used with another type",
        "A frozen shape had a field of this name and another type; stored events would be misread. "
        "Choose a name that was never used.",
        "`note: string` was dropped in version 2, and version 3 has `note: i64`.",
    ),
)

"""Codes of gates: conditions and messages."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code

CODES: Final = (
    Code(
        "E0501",
        "expression syntax",
        "The expression is not finished, or something stands where something else is expected. The "
        "message says what; the grammar is in docs/reference/schema-language.md.",
        "require: event.amount.amount >",
    ),
    Code(
        "E0502",
        "an unknown name",
        "An expression may read `event`, with a machine also `state`, the loop variable of any, "
        "all and sum, and the enums of this package and of imported ones.",
        "require: order.amount.amount > 0",
    ),
    Code(
        "E0503",
        "an unknown field",
        "The event, the state or the struct has no field of that name. `state` has what all states "
        "have in which the gate is asked.",
        "require: event.amuont.amount > 0",
    ),
    Code(
        "E0504",
        "a value that may be null",
        "A condition has to hold for null as well. Test it first; behind `and`, in `if` and after "
        "`or` with `is None` the value is known to be there.",
        "require: len(event.note) < 9",
    ),
    Code(
        "E0505",
        "not a bool",
        "There is no truthiness: a condition is something that is true or false. Compare the value "
        "with what is meant: event.count != 0, len(event.note) > 0.",
        "require: event.amount.amount",
    ),
    Code(
        "E0506",
        "types that do not go together",
        "Values of two types cannot be compared or calculated with, or the type has no order. "
        "Whole numbers and decimals mix; null is compared by `is None` only; structs can only be "
        "equal.",
        "require: event.amount > 0",
    ),
    Code(
        "E0507",
        "an operator that is not there, or not for these types",
        "Arithmetic is exact: + - * on whole numbers and decimals, // and % by a literal, + and - "
        "on times and durations. There is no division with a remainder thrown away, no power, no "
        "bits.",
        "require: event.amount.amount / 2 > 1",
    ),
    Code(
        "E0508",
        "a construct that is not in the language",
        "Expressions are a small part of Python's: no subscripts, lambdas, assignments, formats, "
        "comprehensions or calls but the listed ones. The help says what to write instead.",
        "require: event.lines[0].amount > 0",
    ),
    Code(
        "E0509",
        "not a value of the enum",
        "An enum is compared with one of its stored values or with a member: "
        "event.currency == 'eur', event.currency == Currency.EUR.",
        "require: event.amount.currency == 'eux'",
    ),
    Code(
        "E0510",
        "a float literal",
        "Floats are not exact, and a condition must mean the same on every machine. Write a "
        "decimal: decimal('10.5').",
        "require: event.amount.amount > 10.5",
    ),
    Code(
        "E0511",
        "a limit of expressions",
        "An expression has at most 4 KiB, 256 parts and 32 levels, whole numbers 64 bits, and "
        "exact decimal arithmetic at most 90 digits. Say it shorter, or multiply fewer decimals.",
        "require: event.paid_times == 99999999999999999999",
    ),
    Code(
        "E0512",
        "a message",
        "A message is text with paths in braces, {event.amount.amount}; {{ and }} are braces. It "
        "can hold text, numbers, ids, enums and times, no structs or lists, and nothing is "
        "calculated.",
        "message: paid {event.amount}",
    ),
    Code(
        "E0514",
        "a gate that does not fit",
        "A gate judges one event, with a machine also its state. Moves list gates that judge their "
        "event and belong to their machine, each once.",
        "gates:\n  paid_in_full:\n    event: OrderPayed\n    require: 'True'\n"
        "    deny: {code: NOT_PAID, message: not paid}",
    ),
    Code(
        "E0513",
        "two contexts in one set of gates",
        "The gates of a move or a policy are asked together and get one context. Put into it what "
        "all of them need.",
        "A move lists a gate with `context: Checkout` and one with `context: Desk`.",
    ),
    Code(
        "E0515",
        "an example that does not hold",
        "Examples are judged when schemas are checked. This one expects another answer, does not "
        "fit the event, or belongs to a Python gate, which is not judged here.",
        "An example expects `permit`, and `require` denies its event.",
    ),
    Code(
        "E0516",
        "a gate that is neither declared nor Python, or both",
        "A declared gate has `require` and `deny`, a Python gate has `python` with the codes it "
        "may answer and their messages.",
        "gates:\n  paid_in_full:\n    event: OrderPaid\n    require: event.paid_times > 0",
    ),
    Code(
        "E0517",
        "a code of a gate twice",
        "A Python gate answers with a code, and the schema says what that tells people: one "
        "message for each code. Of two, one would be lost.",
        "gates:\n  limit:\n    event: OrderPaid\n    python:\n      LIMIT: too much\n"
        "      LIMIT: too often",
    ),
    Code(
        "W0402",
        "a gate that nobody asks",
        "No move and no policy lists the gate, so it judges nothing. List it, or delete it.",
        "A gate is declared, and its move does not list it.",
    ),
)

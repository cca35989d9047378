"""Codes of types and fields."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code

CODES: Final = (
    Code(
        "E0301",
        "this is not how a type is written",
        "A type is a scalar, list<T>, set<T>, map<T> or the name of a declared type, with a ? "
        "behind it if it may be null. Spellings of Python, SQL, Java, Rust and TypeScript are "
        "recognised, and the help has ours.",
        "types:\n  Line: {struct: {tags: 'list[str]'}}",
    ),
    Code(
        "E0302",
        "an unknown type",
        "No scalar, no type of this package and no type of an imported one has this name. Types of "
        "another package are written with its last word in front: common.Money.",
        "types:\n  Line: {struct: {price: Mony}}",
    ),
    Code(
        "E0303",
        "an option that is missing, or not for this type",
        "A decimal needs precision and scale. Limits (ge, gt, le, lt) belong to numbers, lengths "
        "to text, bytes, lists, sets and maps. Constraints of a named type belong to its "
        "definition. Some value has to meet them all.",
        "types:\n  Line: {struct: {price: decimal}}",
    ),
    Code(
        "E0304",
        "a default that does not fit",
        "The text of a default is read by the type of its field: a whole number in range, exactly "
        "true or false, a decimal with no more digits than declared, a stored value of an enum.",
        "types:\n  Line: {struct: {count: {type: i8, default: 300}}}",
    ),
    Code(
        "E0308",
        "a type inside itself",
        "Structs are stored by value, so one cannot contain itself, not even by way of others. "
        "Refer to the other one by its id.",
        "types:\n  Folder: {struct: {inner: Folder?}}",
    ),
    Code(
        "E0309",
        "a stored enum value twice",
        "The right-hand side is what is stored. If two members had the same text, a reader could "
        "not tell which one was meant.",
        "types:\n  Currency: {enum: {EUR: eur, EURO: eur}}",
    ),
    Code(
        "E0310",
        "null twice over",
        "A value may be null or not; there is no null of a null. Write one ?, and none behind the "
        "name of an alias that has one.",
        "types:\n  Line: {struct: {note: string??}}",
    ),
    Code(
        "E0311",
        "a field where the tag is stored",
        "The data of a state are stored with the key `state`, which says which state it is. A "
        "field of that name would be stored in the same place.",
        "machines:\n  Order:\n    entity: order:{order_id}\n"
        "    states: {Draft: {initial: true}, Placed: {data: {state: string}}}\n"
        "    moves:\n      place: {from: Draft, to: Placed, event: OrderPlaced}",
    ),
    Code(
        "E0312",
        "a type that cannot be in a set",
        "A set is stored sorted, so that it has one spelling. Text, whole numbers, uuids, ids and "
        "enums have an order that every reader agrees on. Use a list for anything else.",
        "types:\n  Readings: {struct: {values: set<float>}}",
    ),
    Code(
        "E0313",
        "a field name that would hide a type",
        "Generated annotations use bool, bytes, dt, float, frozenset, int, str and tuple. A field "
        "or move of that name would hide the type below it in the class. Choose another name.",
        "types:\n  Line: {struct: {str: string}}",
    ),
    Code(
        "E0305",
        "a pattern that is ambiguous",
        "At every point of a pattern the next character decides where to go; then matching takes "
        "one look at each character, whatever the text. Here two places accept the same one. Make "
        "them differ, or count: {3}.",
        "types:\n  Sku: {alias: string, pattern: '[a-z]*a'}",
    ),
    Code(
        "E0306",
        "a pattern that is not in the language",
        "Patterns have literals, classes, \\d \\w \\s, groups, | and the quantifiers ? * + {m,n}. "
        "They match the whole text, so there are no anchors; there are no references, lookaround "
        "or flags.",
        "types:\n  Sku: {alias: string, pattern: '^[A-Z]+$'}",
    ),
    Code(
        "E0307",
        "the members of a union",
        "A union has 2 to 64 members, each a tag and a struct of the same package. A struct is in "
        "unions with one tag only, because its class carries it.",
        "types:\n  Card: {struct: {last4: string}}\n  Method: {union: {card: Card}}",
    ),
)

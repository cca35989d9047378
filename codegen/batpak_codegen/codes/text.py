"""Codes of the text of a schema: YAML, slots, names, packages, kinds."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code

CODES: Final = (
    Code(
        "E0101",
        "not YAML",
        "The parser gave up at this place; nothing after it could be understood. Often a quote or "
        "a bracket is not closed, the indentation is off by one, or text contains `: `.",
        "doc: the life of an order: from cart to parcel",
    ),
    Code(
        "E0102",
        "a key twice",
        "YAML would let the last one win, without a word. Keep one of the two.",
        "types:\n  Line: {struct: {sku: string}}\n  Line: {struct: {sku: string, count: int}}",
    ),
    Code(
        "E0103",
        "a type that YAML cut in two at a comma",
        "In a map in braces, a comma ends the value. Types have no commas: `map<i64>` has string "
        "keys, and the options of a decimal stand beside its type.",
        "types:\n  Stock: {struct: {counts: {type: map<string, i64>}}}",
    ),
    Code(
        "E0104",
        "shared or typed structure",
        "Anchors, aliases, merge keys, tags, directives and keys that are not text are refused: "
        "what a schema says stands where it says it, and YAML never decides a type. Write the "
        "value out, or quote it if it is text.",
        "types:\n  Line: &line {struct: {sku: string}}\n  Other: *line",
    ),
    Code(
        "E0105",
        "a limit, or text that nobody can see",
        "A schema file has at most 1 MiB, 200,000 keys, values and brackets and 32 levels; a "
        "machine has bounds on its states and moves, a handler group on its events; lists, sets "
        "and maps are at most 16 in each other, counted through aliases.\n\n"
        "Tabs, control characters and characters that change the direction of text are refused, "
        "because what one reads must be what is meant.",
        "types:\n\tLine: {struct: {sku: string}}",
    ),
    Code(
        "E0106",
        "a value that does not fit its slot",
        "A key takes text, a whole number, a bool, a list or a map, and this is something else. "
        "Whole numbers are written 12, -3, 1_000 or 0x2f; 010 is none. Bools are true and false, "
        "without quotes.",
        "events:\n  OrderPaid: {id: first, fields: {}}",
    ),
    Code(
        "E0107",
        "a missing value",
        "An empty value could mean nothing, null or a slip. Write null where null is meant, {} for "
        "an empty map, or leave the key out.",
        "doc:\ntypes: {OrderId: {id: order}}",
    ),
    Code(
        "E0108",
        "an unknown key",
        "Nothing in a schema is ignored: a key with a typing mistake would silently do nothing. "
        "The help names the key that was probably meant, or all that can stand here. Keys that "
        "begin with `x-` are for other tools and pass.",
        "types:\n  Sku: {alias: string, max_lenght: 32}",
    ),
    Code(
        "E0109",
        "a missing key",
        "This declaration needs the key. An event has a number of its own, `id`; `batpak id next` "
        "proposes one. Its category may stand once, at the top of the file.",
        "events:\n  OrderPaid: {fields: {}}",
    ),
    Code(
        "E0110",
        "plain text that YAML would read otherwise",
        "An expression or a message that begins with a character that means something to YAML, or "
        "contains `: ` or ` #`, would be cut or read as something else. Put it in quotes, or after "
        "`>-` on lines of its own.",
        "message: paid {event.amount.amount} #late",
    ),
    Code(
        "E0201",
        "a bad name",
        "Names become Python names, module names and directories on every system, so their "
        "spelling is fixed: OrderPlaced for types, events, machines and states, order_id for "
        "fields, moves and gates, EUR for enum members and denial codes, shop.orders for packages. "
        "All are ASCII; Python's keywords are taken.",
        "events:\n  order_paid: {id: 1, fields: {}}",
    ),
    Code(
        "E0202",
        "a name that is taken",
        "Two names that are the same, differ in case only, or have the same module spelling "
        "(HTTPPaid and HttpPaid are both http_paid) would become one file or one function.",
        "events:\n  HTTPPaid: {id: 1, fields: {}}\n  HttpPaid: {id: 2, fields: {}}",
    ),
    Code(
        "E0203",
        "a kind used twice",
        "The kind, category and id, is what a stored event is known by, for ever. It belongs to "
        "one event over all packages. Take the id that the help proposes; do not renumber an event "
        "that was stored already.",
        "events:\n  OrderPaid: {id: 1, fields: {}}\n  OrderShipped: {id: 1, fields: {}}",
    ),
    Code(
        "E0204",
        "a category or id out of range",
        "A kind has 16 bits: the category is 0x1 to 0xC, 0xE or 0xF, the id 0x000 to 0xFFF. "
        "Categories 0x0 and 0xD are the library's own.",
        "events:\n  OrderPaid: {id: 0x1000, fields: {}}",
    ),
    Code(
        "E0206",
        "packages that import each other",
        "Imports form no cycle, because generated modules import each other the same way. Move "
        "what both need into a third package.",
        "shop.orders imports shop.billing, and shop.billing imports shop.orders.",
    ),
    Code(
        "E0207",
        "an unknown import",
        "No schema file of this project declares that package. Imports are not looked for anywhere "
        "else; `schemas` in [tool.batpak] says which files belong to the project.",
        "imports: [shop.comon]",
    ),
    Code(
        "E0208",
        "a package that does not belong here",
        "With `package_root`, every package begins with it, because that part is removed from the "
        "path of the generated code. batpak.system is the library's own.",
        'package_root = "shop", and a file says `package: store.orders`.',
    ),
    Code(
        "E0111",
        "a schema module that cannot be loaded",
        "A module of `python_schemas` is imported in a process of its own, with a limit of time. "
        "It may not import what is generated, and it has to be found where the project's modules "
        "are. What it raised is in the message.",
        "A module of `python_schemas` imports shop.gen.",
    ),
    Code(
        "E0112",
        "something in a schema module that has no place in a schema",
        "A class of a schema holds fields of the types that schemas know, and nothing that runs: "
        "no validators, computed fields, aliases, generics or inheritance between events.",
        "An Event has a field of the type Any.",
    ),
    Code(
        "E0205",
        "a retired kind",
        "The number belonged to an event that is gone, and stored events still have it. Take the "
        "id that the help proposes.",
        "retired: {0x001: OrderArchived}\nevents:\n  OrderPaid: {id: 1, fields: {}}",
    ),
)

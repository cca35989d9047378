"""Codes of what is around the schemas: configuration, files, output."""

from __future__ import annotations

from typing import Final

from batpak_codegen.codes.code import Code

CODES: Final = (
    Code(
        "E0001",
        "PyYAML was built without libyaml",
        "Schemas are read with libyaml's events. The scanner that PyYAML has in Python reads some "
        "texts differently, so results would depend on the machine.\n\n"
        "Install a wheel of PyYAML: pip install --force-reinstall pyyaml.",
        "PyYAML was compiled from source where yaml.h was missing.",
    ),
    Code(
        "E0002",
        "an unknown key in [tool.batpak]",
        "Nothing in the configuration is ignored: a key with a typing mistake would silently mean "
        "its default. The help names the key that was probably meant, or all of them.",
        '[tool.batpak]\nout = "shop/gen"\nschema = ["schemas"]',
    ),
    Code(
        "E0003",
        "a bad or missing value in the configuration",
        "[tool.batpak] is looked for in the nearest pyproject.toml upwards to the root of the "
        "repository, or in the file named with --config. It has at least `out`, the folder of the "
        "generated package; each value has to be of the type that "
        "docs/reference/schema-language.md lists. `ignore` takes codes of warnings only.",
        "[tool.batpak]\nout = 3",
    ),
    Code(
        "E0004",
        "no schemas where the configuration says",
        "`schemas` names files and folders; folders are searched down to the leaves. Schema files "
        "end in .batpak.yaml, and at least one has to be there.",
        'schemas = ["schemas"], and the folder holds orders.yaml only.',
    ),
    Code(
        "E0005",
        "a file that cannot be read",
        "The file is not there, is no regular file, may not be read, or is not UTF-8. The message "
        "says which; for text that is not UTF-8 it names the byte. `batpak compat --store` says so "
        "of a store that cannot be opened.",
        "A schema saved as Latin-1, with an é in a doc text.",
    ),
    Code(
        "E0006",
        "one output folder inside another",
        "Generated files that no schema gives are removed below an output folder. Of two that are "
        "nested, each would remove the files of the other, so no output folder is around one that "
        "has a generated registry.py, of whatever project, or inside it.",
        '`batpak gen --out .` in a project with `out = "shop/gen"`.',
    ),
    Code(
        "E0007",
        "two files declare one package",
        "One file is one package: what a package says stands in one place. Move the declarations "
        "into one file, or give one of them a package of its own.",
        "orders.batpak.yaml and billing.batpak.yaml both say `package: shop.orders`.",
    ),
    Code(
        "E0008",
        "a missing extra",
        "The runtime needs msgspec and blake3 only. The generator needs more, and that comes with "
        "an extra: pip install 'batpak[gen]'. Programs that only use generated code do not need "
        "it.",
        "`pip install batpak[cli]`, then `batpak gen`.",
    ),
    Code(
        "E0701",
        "generated code is out of date",
        "A generated file is missing, is not what the schemas give, or is stale because no schema "
        "gives it any more. `batpak gen` brings the folder up to date; `batpak gen --diff` shows "
        "what it would change. Commit the result.",
        "A schema was changed, and `batpak gen --check` runs before `batpak gen`.",
    ),
    Code(
        "E0702",
        "a file of yours where a generated one belongs",
        "Everything in the output folder is generated, and every generated file says so in its "
        "first line. A file without that line is not overwritten: move it away, or delete it.",
        "shop/gen/orders/events.py was written by hand.",
    ),
    Code(
        "E0703",
        "a file that cannot be replaced",
        "The system refused to write, or something other than a file is in the way: a link, a file "
        "where a folder belongs, a folder where a file belongs. Links are never followed.",
        "shop/gen/orders is a symbolic link.",
    ),
    Code(
        "E0704",
        "a path outside the project or the output folder",
        "Generated code goes below `out`, and `out` lies below the configuration file, also when "
        "links are followed. Another folder for one run is named with --out.",
        '[tool.batpak]\nout = "../elsewhere/gen"',
    ),
    Code(
        "E0705",
        "rendered code is not what the schema says",
        "Before anything is written, every rendered file is parsed and compared with the schema. "
        "A difference is a defect of the generator, never yours; nothing was written. Please "
        "report it with the schema.",
        "A class that the schema declares is not in the rendered events.py.",
    ),
    Code(
        "E0706",
        "a schema that is not in its one order and spelling",
        "`batpak fmt --check` found keys in another order than `batpak fmt` brings them into, or "
        "numbers that are spelled otherwise. `batpak fmt` changes the text and nothing of its "
        "meaning; comments stay with what they stand above.",
        "`package` stands above `batpak`, and `batpak fmt --check` runs in CI.",
    ),
    Code(
        "E0601",
        "a hooks file that cannot be extended safely",
        "`gen` only adds lines to your files. This file cannot be read, or adding the missing "
        "method would change one of your lines; nothing was written. Mend the file, or paste what "
        "the help shows.",
        "shop/orders_hooks.py has a syntax error.",
    ),
    Code(
        "E0602",
        "a hooks file without a place for what is missing",
        "No class in the file implements the generated one, several do, or it is written on one "
        "line. Paste what the help shows.",
        "shop/orders_hooks.py has no class that derives from OrdersHooks.",
    ),
    Code(
        "E0605",
        "a method that nobody has written yet",
        "With --release nothing may be left to write: a method of a hooks file still only raises "
        "NotImplementedError, as `batpak gen` wrote it, or is not there at all.",
        "`batpak gen --release` right after `batpak gen` has added a stub.",
    ),
    Code(
        "E0606",
        "a type checker that does not see the types",
        "`batpak check --types` lets the type checkers that are here look at a few lines that are "
        "wrong, with your own configuration. One that accepts them sees `Any` in place of every "
        "generated class: batpak or msgspec is not installed where it runs, or it is told not to "
        "follow their imports.",
        'A project with `follow_imports = "skip"` in `[tool.mypy]`.',
    ),
    Code(
        "W0603",
        "a method that no schema asks for any more",
        "The schema has changed, and your method stayed. It is never deleted for you.",
        "A Python gate was removed, and its `gate_` method is still there.",
    ),
    Code(
        "W0604",
        "a handler or fold that may be extended",
        "A generated handler or projection has one method per event, and what extends it is to "
        "have them all. Only of a @final class does a type checker say so at the class itself. "
        "`batpak check --types` looks for those that are not; one that is to be extended further "
        "says so with ABC.",
        "`class Journal(OrderHandler[str]):` without @final above it.",
    ),
    Code(
        "W0607",
        "a pattern that loses a type",
        "mypy gives the name behind `as` in a pattern of a class the class alone, with Any for "
        "what it is of. Match without `as` and go on with the subject, whose type is narrowed; or "
        "ask with isinstance.",
        "`case Receipt() as receipt:` around a result of a machine.",
    ),
)

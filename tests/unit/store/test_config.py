"""The table of settings: every default and every bound, and that what is refused touches nothing.

Would slip through without it: a setting that is taken and then misread, a bound that moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from batpak.cache.row import NoCache
from batpak.config import Durability, Limits, OpenVerify, Signing, StoreConfig, SyncMode
from batpak.errors import InvalidArgument
from batpak.store import Store

MIB: Final = 1 << 20
NUMBERS: Final = {  # the default, the least, the most
    "sync_every_n_events": (100, 1, 1_000_000),
    "sync_every_ms": (50, 1, 60_000),
}
LIMITS: Final = {
    "segment_max_bytes": (64 * MIB, 4 << 10, 1 << 30),
    "payload_max_bytes": (MIB, 1, 8 * MIB),  # up to 16 MiB, with as large a batch
    "batch_max_items": (256, 1, 4096),
    "batch_max_bytes": (8 * MIB, MIB, 64 * MIB),
    "group_max_requests": (256, 1, 4096),
    "queue_capacity": (4096, 1, 1_000_000),
    "queue_max_bytes": (64 * MIB, MIB, 4 << 30),
    "pressure_pct": (75, 1, 100),
    "subscriber_capacity": (8192, 1, 1_000_000),
    "fd_budget": (64, 4, 4096),
    "close_timeout_s": (5.0, 0, 3600),
}
CHOICES: Final = {
    "durability": Durability.COMMIT,
    "sync_mode": SyncMode.DATA,
    "open_verify": OpenVerify.QUICK,
    "lifecycle_events": True,
    "on_open": None,
    "signer": None,
    "trusted": (),
    "signing": Signing.OPTIONAL,
    "projection_cache": NoCache(),
    "limits": Limits(),
}


def config(name: str, value: Any) -> StoreConfig:  # noqa: ANN401  also what is not allowed
    if name in LIMITS:
        return StoreConfig(limits=structs.replace(Limits(), **{name: value}))
    return StoreConfig(**{name: value})


def test_the_table_has_every_setting_with_its_default() -> None:
    mine = {name: getattr(StoreConfig(), name) for name in StoreConfig.__struct_fields__}
    limits = {name: getattr(Limits(), name) for name in LIMITS}

    cache = mine.pop("projection_cache")
    assert isinstance(cache, NoCache)
    due = {name: value for name, value in CHOICES.items() if name != "projection_cache"}
    assert mine == due | {name: row[0] for name, row in NUMBERS.items()}
    assert limits == {name: row[0] for name, row in LIMITS.items()}


@pytest.mark.parametrize("name", [*NUMBERS, *LIMITS])
def test_a_number_is_taken_up_to_its_bounds_and_no_further(name: str) -> None:
    _, least, most = (NUMBERS | LIMITS)[name]
    told = f"limits.{name}" if name in LIMITS else name

    assert config(name, least) != config(name, most)
    for wrong in (least - 1, 1 << 40, "1", None, True, float("nan")):
        with pytest.raises(InvalidArgument) as refused:
            config(name, wrong)
        assert refused.value.argument == told
        assert repr(wrong) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("durability", "COMMIT"),
        ("durability", 3),
        ("sync_mode", "data"),
        ("open_verify", True),
        ("lifecycle_events", 1),
        ("on_open", "print"),
        ("signer", b"x" * 32),
        ("trusted", []),
        ("trusted", ("key",)),
        ("signing", False),
        ("projection_cache", NoCache),
        ("projection_cache", None),
        ("limits", None),
        ("limits", {}),
    ],
)
def test_a_choice_is_one_of_those_there_are(name: str, wrong: object) -> None:
    with pytest.raises(InvalidArgument) as refused:
        config(name, wrong)

    assert refused.value.argument.startswith(name)


def test_limits_that_depend_on_another_follow_it() -> None:
    large = Limits(payload_max_bytes=16 * MIB, batch_max_bytes=16 * MIB)

    assert StoreConfig(limits=large).limits == large
    for name in ("batch_max_bytes", "queue_max_bytes"):
        with pytest.raises(InvalidArgument, match=f"limits.{name}"):
            StoreConfig(limits=structs.replace(large, **{name: 16 * MIB - 1}))


def test_a_name_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="durabilty"):
        StoreConfig(durabilty=Durability.OS)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  on purpose


@pytest.mark.parametrize("wrong", [{}, "fast", Limits(), StoreConfig])
def test_what_is_no_config_is_refused_before_anything_is_made(tmp_path: Path, wrong: Any) -> None:  # noqa: ANN401  on purpose
    with pytest.raises(InvalidArgument, match="config"):
        Store.open(tmp_path / "s", wrong)

    assert not (tmp_path / "s").exists()

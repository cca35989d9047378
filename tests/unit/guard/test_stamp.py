"""Stamps: what an event says of the policy that permitted it.

Without this the proof that a rule was passed would be in nobody's log, or in a form that only this
version of the library reads.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from batpak import codec, wire
from batpak.append import POLICY, OwnExtensions
from batpak.errors import InvalidArgument
from batpak.guard.proposal import Proposal
from batpak.guard.stamp import PolicyStamp
from batpak.guard.verdict import Denial
from tests.unit.guard.grants import BUDGET, GrantPolicy, granted

STAMP = PolicyStamp("p", b"\1" * 32, ("a", "b"))


def test_a_stamp_is_three_values_of_messagepack() -> None:
    assert codec.decode_plain(STAMP.to_bytes()) == ["p", b"\1" * 32, ["a", "b"]]


def test_a_stamp_is_read_from_the_extensions_it_stands_in() -> None:
    assert PolicyStamp.of({"app.trace": b"1", POLICY: STAMP.to_bytes()}) == STAMP
    assert PolicyStamp.of({"app.trace": b"1"}) is None


@pytest.mark.parametrize(
    "data", [b"", b"\xc0", b"\x93", b"\x93\xa1p\xc4\x00\xa1x", STAMP.to_bytes() + b"\0"]
)
def test_what_is_no_stamp_is_refused_with_a_type(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"batpak\.policy is no stamp"):
        PolicyStamp.of({POLICY: data})


def spent(extensions: Mapping[str, bytes] | None = None) -> Mapping[str, bytes]:
    policy = GrantPolicy()
    receipt = policy.evaluate(BUDGET, Proposal(granted()))
    assert not isinstance(receipt, Denial)
    return receipt.spend(policy.jury, extensions).extensions


def test_a_set_of_gates_stamps_the_same_every_time() -> None:
    policy = GrantPolicy()

    assert spent(None) == spent({})
    assert PolicyStamp.of(spent()) == PolicyStamp(
        "test.grants.GrantPolicy", policy.fingerprint, policy.names
    )
    assert spent({"app.trace": b"1"}) == {**spent(), "app.trace": b"1"}


def test_the_name_of_the_stamp_is_not_the_callers() -> None:
    with pytest.raises(InvalidArgument, match="written by the library only"):
        spent({POLICY: b"mine"})
    with pytest.raises(InvalidArgument, match="written by the library only"):
        OwnExtensions(object(), {}, b"mine", wire.encode(granted()))  # type: ignore[arg-type]  # no seal

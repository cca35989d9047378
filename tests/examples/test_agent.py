"""The agent example tells its story: what is refused is not done, and a stranger believes so.

It is what people copy who let a program act for them; without this it would rot first.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak import SigningKey, Store, StoreConfig
from desk import app
from desk.app import Desk, Refused, export, tell, unanswered
from desk.check import check
from desk.gen.calls import CallAnswered, Tool

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent"
ALL = frozenset(Tool)


def opened(tmp_path: Path, key: SigningKey | None = None) -> Store:
    (tmp_path / "agent").mkdir()
    (tmp_path / "evidence").mkdir()
    return Store.open(tmp_path / "desk.store", StoreConfig(signer=key))


def test_the_story_is_the_one_that_the_readme_tells(tmp_path: Path) -> None:
    said = tell(tmp_path, SigningKey.generate())

    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("$ python -m desk.app\n")[2].partition("```")[0]
    assert said == told.splitlines()


@pytest.mark.parametrize(
    ("target", "code"),
    [("/etc/passwd", "OUTSIDE"), ("a/../../b", "OUTSIDE"), (".ssh/key", "HIDDEN")],
)
def test_a_call_that_is_refused_is_not_made(tmp_path: Path, target: str, code: str) -> None:
    with opened(tmp_path) as store:
        desk = Desk(store, tmp_path / "agent", "monday", ALL, calls_max=9)

        answer = desk.call(Tool.WRITE, target, "mine")

        assert isinstance(answer, Refused)
        assert answer.denial.code == code
        assert store.version("session:monday") == 0
        assert list((tmp_path / "agent").iterdir()) == []


def test_a_link_out_of_the_folder_is_answered_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine", encoding="utf-8")
    with opened(tmp_path) as store:
        (tmp_path / "agent" / "link").symlink_to(tmp_path / "secret")
        desk = Desk(store, tmp_path / "agent", "monday", ALL, calls_max=9)

        desk.call(Tool.READ, "link")

        (answer,) = store.by_fact(CallAnswered)
        assert not answer.payload.ok
        assert "mine" not in answer.payload.output


def test_a_call_in_which_the_process_died_has_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_folder: Path, _call: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "use", die)
    with opened(tmp_path) as store:
        desk = Desk(store, tmp_path / "agent", "monday", ALL, calls_max=9)

        with pytest.raises(KeyboardInterrupt):
            desk.call(Tool.WRITE, "half", "written")

        assert [call.target for call in unanswered(store, "monday")] == ["half"]


def test_a_stranger_believes_no_changed_proof_and_no_other_key(tmp_path: Path) -> None:
    key = SigningKey.generate()
    evidence = tmp_path / "evidence"
    with opened(tmp_path, key) as store:
        desk = Desk(store, tmp_path / "agent", "monday", frozenset(), calls_max=9)
        answer = desk.call(Tool.LIST, ".")
        assert isinstance(answer, Refused)
        export(store, answer.receipt, evidence)
    (good,) = check(evidence, key.public)
    (stranger,) = check(evidence, SigningKey.generate().public)
    (file,) = evidence.glob("*.proof")
    changed = file.read_bytes().replace(b"list is not among", b"read is not among")
    file.write_bytes(changed)
    (forged,) = check(evidence, key.public)

    assert good.endswith("because list is not among the tools of this session")
    assert stranger.endswith("not to be believed, unknown-key")
    assert forged.endswith("not to be believed, event-hash")

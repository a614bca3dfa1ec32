"""A silent agent is spoken of once, and again only after it was heard."""

from __future__ import annotations

from memtui.session.silence import SILENT_SECONDS, Silence


def test_it_is_said_once() -> None:
    silence = Silence()
    said = [silence.look(second, waiting=True) for second in range(60)]
    assert [bool(one) for one in said].index(True) == SILENT_SECONDS
    assert sum(map(bool, said)) == 1
    assert "keeps the GIL" in max(said)


def test_nothing_is_expected_without_a_request() -> None:
    silence = Silence()
    assert not any(silence.look(second, waiting=False) for second in range(60))


def test_a_sign_of_life_begins_it_anew() -> None:
    silence = Silence()
    for second in range(60):
        if second % 5 == 0:
            silence.heard()
        assert not silence.look(second, waiting=True)
    assert any(silence.look(second, waiting=True) for second in range(60, 80))

from __future__ import annotations

from pathlib import Path

import pytest

from memtui.tui.actions import ACTIONS, RESERVED_KEYS, TOLD_ELSEWHERE, bindings, markdown_table
from memtui.tui.settings import load_settings
from memtui.tui.themes import VARIABLE_DEFAULTS, load_themes

BUNDLED = {"memtui-dark", "memtui-light", "memtui-ansi", "memtui-contrast"}
GOOD_THEME = '[colors]\nprimary = "#123456"\n'


def write(config: Path, text: str) -> None:
    (config / "config.toml").write_text(text, "utf-8")


def write_theme(config: Path, name: str, text: str) -> Path:
    directory = config / "themes"
    directory.mkdir(exist_ok=True)
    file = directory / f"{name}.toml"
    file.write_text(text, "utf-8")
    return file


def test_no_configuration_is_no_problem(config: Path) -> None:
    settings = load_settings()
    assert settings.problems == ()
    assert settings.theme == "memtui-dark"
    assert settings.themes.keys() == BUNDLED
    assert settings.interval_seconds == 1.0


def test_configuration_is_read(config: Path) -> None:
    keys = 'snapshot = "f2, ctrl+s"\nfilter = "+"\nsort = "!"\nview = "comma"\n'
    write(config, f'theme = "memtui-light"\n[keys]\n{keys}[dashboard]\ninterval_seconds = 2\n')
    settings = load_settings()
    assert settings.problems == ()
    assert settings.theme == "memtui-light"
    assert settings.keys == {"snapshot": "f2,ctrl+s", "filter": "plus", "sort": "exclamation_mark", "view": "comma"}
    assert settings.interval_seconds == 2.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('theme = "x"\nkeys = = 1', "line 2"),
        ("colour = 1", "line 1: unknown key colour"),
        ('theme = "nope"', "theme = 'nope' is not a known theme"),
        ("theme = 7", "theme = 7"),
        ('[keys]\nfly = "f"', "line 2: keys.fly is not an action"),
        ('[keys]\nsnapshot = "d"', "diff and snapshot are both on d"),
        ('[keys]\nsnapshot = "x"\ncollect = "x"', "collect and snapshot are both on x"),
        ('[keys]\nsort = "q"', "quit and sort are both on q"),
        ('[keys]\nsnapshot = "enter"', "enter is reserved"),
        ('[keys]\nquit = "ctrl+c"', "ctrl+c is reserved"),
        ('[keys]\nsnapshot = "wobble"', "'wobble' is not the name of a key"),
        ('[keys]\nsort = "?"', "help and sort are both on ?"),
        ('[keys]\nsort = "some_key"', "'some_key' is not the name of a key"),
        ("[keys]\nsnapshot = 3", "line 2: keys.snapshot = 3 must be a key"),
        ("keys = 3", "keys is not a table"),
        ("[dashboard]\ninterval_seconds = 0", "must be between 0.1 and 60"),
        ("[dashboard]\ninterval_seconds = true", "must be between 0.1 and 60"),
        ("[dashboard]\nspeed = 1", "unknown key dashboard.speed"),
    ],
)
def test_mistakes_are_reported_and_not_fatal(config: Path, text: str, words: str) -> None:
    write(config, text)
    settings = load_settings()
    assert [problem for problem in settings.problems if words in problem], settings.problems
    assert all(str(config / "config.toml") in problem for problem in settings.problems)
    assert settings.theme == "memtui-dark"
    assert settings.keys == {}
    assert settings.interval_seconds == 1.0


def test_two_actions_of_different_screens_may_share_a_key(config: Path) -> None:
    write(config, '[keys]\nsort = "1"\n')
    settings = load_settings()
    assert settings.problems == ()
    assert settings.keys == {"sort": "1"}


def test_swapped_keys_are_no_clash(config: Path) -> None:
    write(config, '[keys]\nsnapshot = "d"\ndiff = "s"\n')
    assert load_settings().keys == {"snapshot": "d", "diff": "s"}


def test_a_configuration_that_is_not_text(config: Path) -> None:
    (config / "config.toml").write_bytes(b'theme = "\xff"')
    assert "is not UTF-8" in load_settings().problems[0]


def test_the_command_line_wins(config: Path) -> None:
    write(config, 'theme = "memtui-light"')
    assert load_settings("memtui-contrast").theme == "memtui-contrast"
    settings = load_settings("nope")
    assert settings.theme == "memtui-light"
    assert "no theme 'nope'" in settings.problems[0]
    assert "memtui-ansi" in settings.problems[0]


def test_no_color_takes_the_terminals_own_colours(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    write(config, 'theme = "memtui-light"')
    assert load_settings().theme == "memtui-ansi"
    assert load_settings("memtui-light").theme == "memtui-light"


def test_a_terminal_of_sixteen_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.setenv("TERM", "linux")
    assert load_settings().theme == "memtui-ansi"


def test_bundled_themes_say_everything() -> None:
    themes, problems = load_themes()
    assert problems == []
    assert themes.keys() == BUNDLED
    assert themes["memtui-ansi"].ansi
    assert not themes["memtui-light"].dark
    for theme in themes.values():
        assert VARIABLE_DEFAULTS.keys() - {"mem-cursor-style"} <= theme.variables.keys()


def test_a_users_theme_is_found_and_wins_over_a_bundled_one(config: Path) -> None:
    write_theme(config, "mine", GOOD_THEME)
    write_theme(config, "memtui-dark", GOOD_THEME)
    settings = load_settings("mine")
    assert settings.problems == ()
    assert settings.theme == "mine"
    assert settings.themes["memtui-dark"].primary == "#123456"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[colors", "is not valid TOML"),
        ("[variables]\n", "colors.primary is missing"),
        ('[colors]\nprimary = "blurple"', "colors.primary must be a colour"),
        ("[colors]\nprimary = 7", "colors.primary must be a colour"),
        (GOOD_THEME + 'sky = "#ffffff"', "colors.sky is not a key of a theme"),
        ("colors = 7", "colors is not a table"),
        ('dark = "yes"\n' + GOOD_THEME, "dark must be true or false"),
        ('name = "x"\n' + GOOD_THEME, "name is not a key of a theme"),
        (GOOD_THEME + '[variables]\nmem-dim = "nope"', "variables.mem-dim must be a colour"),
        (GOOD_THEME + '[variables]\nmem-cursor-style = "loud"', "variables.mem-cursor-style must be made of"),
        (GOOD_THEME + '[variables]\nwhatever = "#ffffff"', "variables.whatever is not a key of a theme"),
    ],
)
def test_a_broken_theme_is_named_and_left_out(config: Path, text: str, words: str) -> None:
    file = write_theme(config, "memtui-dark", text)
    settings = load_settings()
    assert len(settings.problems) == 1
    assert str(file) in settings.problems[0]
    assert words in settings.problems[0]
    assert settings.themes["memtui-dark"].primary != "#123456"


@pytest.mark.parametrize(
    ("encoding", "ascii_only"), [("UTF-8", False), ("utf8", False), ("ISO-8859-1", True), ("ascii", True)]
)
def test_the_locale_decides_the_glyphs(monkeypatch: pytest.MonkeyPatch, encoding: str, ascii_only: bool) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _: encoding)
    assert load_settings().ascii is ascii_only


def test_the_table_of_actions_is_sound() -> None:
    assert len({one.id for one in ACTIONS}) == len(ACTIONS)
    assert all(one.label and one.tooltip for one in ACTIONS)
    back = ("close", "heap-back", "leak-back", "native-back")
    assert not [one.id for one in ACTIONS if one.key in RESERVED_KEYS and one.id not in back]
    for screen in ("dashboard", "diff", "heap", "leaks"):
        keys = [binding.key for binding in [*bindings("app"), *bindings(screen)]]
        assert len(set(keys)) == len(keys)
    assert all(f"`{one.id}`" in markdown_table() for one in ACTIONS if one.scope not in TOLD_ELSEWHERE)

"""The configuration: what is read from where, how mistakes are named, that editing changes one key only."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtui.cli.main import run
from memtui.config import KEYS, find_key, load
from memtui.config.edit import set_key, text_with, unset_key
from memtui.config.kinds import as_toml
from memtui.config.lines import outline
from memtui.config.toml import parse_toml
from memtui.errors import UsageError, WriteError

NOWHERE = Path("config.toml")
COMMENTED = """\
# my memtui
theme = "memtui-light"   # easy on the eyes

[warning]   # tell me early
rss = "512MB"  # a \\"half\\" gigabyte
uss = [ # wrong on purpose
  1, "]",
]

# the end of the world
[critical]
rss = '1GiB'
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration of this test is; it does not exist yet."""
    for variable in [one for one in os.environ if one.startswith("MEMTUI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "memtui" / "config.toml"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")


def test_the_defaults_need_no_file() -> None:
    configuration = load({})
    assert configuration.problems == ()
    assert configuration.number("dashboard.interval_seconds") == 1.0
    assert configuration.number("warning.rss") is None
    assert configuration.text("theme") is None
    assert (configuration.number("warning.limit"), configuration.number("critical.limit")) == (80.0, 90.0)


def test_every_key_is_explained_and_its_default_is_one_it_takes() -> None:
    assert len({one.variable for one in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.about
        assert key.kind.words
        assert key.default is None or key.kind.read(key.default) == key.default


def test_values_come_with_plain_units_and_where_they_are_from(file: Path) -> None:
    write(file, '[warning]\nrss = "512MB"\n\ngrowth = "5MB/min"\nlimit = "75%"\n[critical]\ntime_to_limit = "10m"\n')
    configuration = load({"MEMTUI_CRITICAL_GC_PAUSE": "200ms", "MEMTUI_WARNING_LIMIT": "off"})
    assert configuration.problems == ()
    assert configuration.number("warning.rss") == 512_000_000
    assert configuration.number("warning.growth") == 5_000_000
    assert configuration.number("critical.time_to_limit") == 600.0
    assert configuration.number("critical.gc_pause") == 0.2
    assert configuration.number("warning.limit") is None, "the environment wins over the file"
    assert configuration.settings["warning.growth"].origin == f"{file}, line 4"
    assert configuration.settings["critical.gc_pause"].origin == "MEMTUI_CRITICAL_GC_PAUSE"
    assert configuration.settings["dashboard.bell"].origin == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\ncolour = 1", "line 3: unknown key colour"),
        ("[warning]\nrs = 1", "line 2: unknown key warning.rs (did you mean warning.rss?)"),
        ('[warning]\n\nrss = "many"', "line 3: warning.rss = 'many' must be a size such as 512MB"),
        ("[warning]\nrss = -1", "line 2: warning.rss = -1 must be"),
        ("[warning]\nrss = true", "line 2: warning.rss = True must be"),
        ("warning = 3", "line 1: warning is not a table"),
        ('x = """\n\n"""\n[critical]\nlimit = 0', "line 5: critical.limit = 0 must be a percentage"),
        ("critical = { rss = 1,\n processes = 0 }" if sys.version_info >= (3, 15) else "critical = { processes = 0 }",
         "line 1: critical.processes = 0 must be a whole number of at least 1"),
        ("[dashboard]\nbell = 'loud'", "line 2: dashboard.bell = 'loud' is not one of (off, warning, critical)"),
        ("[alerts]\nwebhook = 7", "line 2: alerts.webhook = 7 must be an http or https URL"),
        ("theme = 'none'", "line 1: theme = 'none' is not a known theme"),
        ("theme = = 1", "is not valid TOML"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_line(file: Path, text: str, words: str) -> None:
    write(file, text)
    problems = load({}).problems
    assert [one for one in problems if words in one and str(file) in one], problems


def test_the_good_part_of_a_file_with_mistakes_is_used(file: Path) -> None:
    write(file, '[warning]\nrss = "1GB"\nuss = "?"\n')
    configuration = load({})
    assert len(configuration.problems) == 1
    assert configuration.number("warning.rss") == 10**9


def test_mistakes_in_the_environment_are_named() -> None:
    configuration = load({"MEMTUI_WARNING_RSS": "much", "MEMTUI_WARNING_FOO": "1", "MEMTUI_CHANNEL": "memtui's own"})
    assert len(configuration.problems) == 2
    assert "MEMTUI_WARNING_FOO" in configuration.problems[0]
    assert "MEMTUI_WARNING_RSS: warning.rss = 'much' must be a size" in configuration.problems[1]


def test_keys_of_the_keyboard_come_from_the_environment_too(file: Path) -> None:
    write(file, '[keys]\nsort = "f3"\n')
    actions = load({"MEMTUI_KEYS_DIFF_FROM": "f6"}).actions
    assert {name: one.value for name, one in actions.items()} == {"sort": "f3", "diff-from": "f6"}


def test_an_edit_keeps_everything_else(file: Path) -> None:
    write(file, COMMENTED)
    file.chmod(0o600)
    for name, word in (("warning.rss", "600MB"), ("critical.limit", "95"), ("alerts.webhook", "http://127.0.0.1:1/")):
        key = find_key(name)
        assert key is not None
        set_key(file, key, word)
    expected = COMMENTED.replace('"512MB"', '"600MB"').replace("'1GiB'\n", "'1GiB'\nlimit = 95\n")
    assert file.read_text("utf-8") == expected + '\n[alerts]\nwebhook = "http://127.0.0.1:1/"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["config.toml"]


def test_a_key_at_the_top_stays_at_the_top(file: Path) -> None:
    assert text_with("[keys]\nsort = 'x'\n", "theme", '"a"') == "theme = \"a\"\n[keys]\nsort = 'x'\n"
    assert text_with("# mine\n\n[keys]\n", "theme", '"a"').index("theme") < len("# mine\n\n[keys]\n")
    assert text_with("x = 1", "theme", '"a"') == 'x = 1\ntheme = "a"\n'


def test_unset_takes_the_line_out(file: Path) -> None:
    key = find_key("warning.uss")
    assert key is not None
    write(file, COMMENTED)
    assert unset_key(file, key)
    assert not unset_key(file, key)
    assert (
        file.read_text("utf-8") == COMMENTED[: COMMENTED.index("uss")] + COMMENTED[COMMENTED.index("\n# the end") :]
    )


def test_a_symbolic_link_stays_one(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# mine\n")
    file.parent.mkdir()
    file.symlink_to(real)
    assert run(["configure", "warning.rss", "1GB"]) == 0
    assert file.is_symlink()
    assert real.read_text() == '# mine\n\n[warning]\nrss = "1GB"\n'


@pytest.mark.parametrize("text", ["warning = { rss = 1 }\n", "warning.rss = 1\n", '["warning"]\nrss = 1\n'])
def test_however_a_table_is_written_it_is_changed_or_left_alone(file: Path, text: str) -> None:
    write(file, text)
    key = find_key("warning.rss")
    assert key is not None
    try:
        set_key(file, key, "2")
    except UsageError:
        assert file.read_text("utf-8") == text
    else:
        assert parse_toml(file, file.read_text("utf-8")) == {"warning": {"rss": 2}}


def test_a_broken_file_is_not_touched(file: Path) -> None:
    write(file, "= = 1")
    assert run(["configure", "warning.rss", "1GB"]) == 2
    assert file.read_text("utf-8") == "= = 1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_to(file: Path) -> None:
    write(file, "")
    file.parent.chmod(0o500)
    key = find_key("warning.rss")
    assert key is not None
    with pytest.raises(WriteError):
        set_key(file, key, "1GB")


_bare = st.from_regex(r"\A[A-Za-z0-9_-]{1,6}\Z")
_values = st.one_of(st.integers(), st.booleans(), st.text(max_size=12).filter(lambda one: one.isprintable())).map(
    as_toml
) | st.sampled_from(["[1, 2] # x", "[ # ]\n 'a]',\n]", "'''a\n'b'''", '"""\n\\""" # " """', "{a = 1}"])


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(_bare.map(str.lower), st.dictionaries(_bare.map(str.lower), _values, max_size=4), max_size=3),
    st.sampled_from(["warning.rss", "theme", "keys.sort"]),
    st.integers(0, 10**12),
)
def test_whatever_is_in_the_file_one_key_changes(tables: dict[str, dict[str, str]], name: str, value: int) -> None:
    text = "# top\n"
    for table, members in tables.items():
        text += f"\n[{table}]  # a [table]\n" + "".join(f"  {key} = {toml}\n" for key, toml in members.items())
    before = parse_toml(NOWHERE, text)
    after = parse_toml(NOWHERE, text_with(text, name, str(value)))
    table, _, member = name.partition(".")
    if member:
        before.setdefault(table, {})[member] = value
    elif table not in tables:
        before[table] = value
    else:
        return
    assert after == before


def test_lines_are_found_whatever_stands_before() -> None:
    found = outline(COMMENTED)
    assert {".".join(path): place.line for path, place in found.places.items()} == {
        "theme": 2, "warning.rss": 5, "warning.uss": 6, "critical.rss": 12,
    }  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["configure", *words]) == code
    output = capsys.readouterr()
    return output.out if code == 0 else output.err


def test_list_documents_every_key(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file, '[warning]\nrss = "512MB"\n[keys]\nsort = "f3"\n')
    text = printed(capsys, "--list")
    for key in KEYS:
        assert f"\n{key.name} = " in text
        assert key.variable in text
    assert f'warning.rss = "512MB"   # {file}, line 2' in text
    assert f'keys.sort = "f3"   # {file}, line 4' in text
    document = json.loads(printed(capsys, "--list", "--json"))
    origins = {one["key"]: one["origin"] for one in document["settings"] if one["origin"] != "default"}
    assert origins == {"warning.rss": f"{file}, line 2", "keys.sort": f"{file}, line 4"}


def test_a_value_is_set_and_read_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--path").strip() == str(file)
    assert printed(capsys, "warning.rss").strip() == "unset"
    assert 'warning.rss = "1.5GiB"' in printed(capsys, "warning.rss", "1.5GiB")
    assert json.loads(printed(capsys, "warning.rss", "--json"))["value"] == 1.5 * 2**30
    assert "not set any more" in printed(capsys, "warning.rss", "--unset")
    assert printed(capsys, "keys.snapshot").strip() == '"s"'
    assert "did you mean warning.rss" in printed(capsys, "warning.rs", code=2)
    assert "Unknown key keys.fly" in printed(capsys, "keys.fly", "x", code=2)
    assert "must be a size" in printed(capsys, "warning.rss", "large", code=2)
    assert "alternatives" in printed(capsys, "warning.rss", "--list", code=2)


def test_problems_are_told_on_stderr_and_nothing_of_the_dashboard_is_loaded(file: Path) -> None:
    write(file, "[warning]\nrss = []\n")
    code = (
        "import sys; from memtui.cli.main import run; run(['configure']);"
        "sys.exit(f'heavy: {heavy}' if (heavy := {'textual', 'rich', 'numpy'} & set(sys.modules)) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"memtui: Configuration {file}, line 2: warning.rss = [] must be" in done.stderr


def test_the_example_of_the_documentation_has_no_mistake(file: Path) -> None:
    page = (Path(__file__).parents[2] / "memtui" / "docs" / "alerts.md").read_text("utf-8")
    write(file, page.split("```toml\n")[1].split("```")[0])
    configuration = load({})
    assert configuration.problems == ()
    assert configuration.number("critical.limit") is None
    assert configuration.number("warning.growth") == 2_000_000

"""Renders screenshots/*.svg from the scripted shop session: python tests/tools/screenshots.py [DIRECTORY]

The pictures are of the real application, in its real themes; nothing in them depends on the clock. To look at one as
PNG: ``rsvg-convert -z 2 screenshots/dashboard.svg -o dashboard.png`` (with the Fira Code font installed).
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "tui")]

from shop_heap import ShopBook, with_pictures  # noqa: E402
from shop_session import shop_states  # noqa: E402

from memtui.session.scripted import ScriptedSession  # noqa: E402
from memtui.tui.app import MemtuiApp  # noqa: E402
from memtui.tui.books import Shelf  # noqa: E402
from memtui.tui.settings import load_settings  # noqa: E402

SECONDS = 200


@dataclass(frozen=True)
class Shot:
    """One picture: the keys pressed before it is taken, at which second of the session, with heap pictures or not."""

    name: str
    theme: str = "memtui-dark"
    size: tuple[int, int] = (120, 40)
    keys: tuple[str, ...] = ()
    second: int = SECONDS - 1
    pictures: bool = False


SHOTS = (
    Shot("dashboard"),
    Shot("dashboard-light", theme="memtui-light"),
    Shot("dashboard-80x24", size=(80, 24)),
    Shot("observing", second=25),
    Shot("diff", size=(120, 30), keys=("d",), pictures=True),
    Shot("heap", size=(120, 30), keys=("h",), pictures=True),
    Shot("object", size=(120, 30), keys=("h", "down", "enter", "enter"), pictures=True),
    Shot("help", size=(110, 42), keys=("question_mark",)),
)


async def render(shot: Shot) -> str:
    """The picture as SVG."""
    state = shop_states(shot.second + 1)[-1]
    session = ScriptedSession([with_pictures(state) if shot.pictures else state])
    settings = replace(load_settings(shot.theme), ascii=False)
    app = MemtuiApp(session, exporter=lambda _: Path("report.json"), settings=settings, shelf=Shelf(ShopBook))
    async with app.run_test(size=shot.size) as pilot:
        await pilot.pause()
        for key in shot.keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        await pilot.pause(0.2)
        svg = app.export_screenshot(title=f"memtui {shot.name}")
    # A picture in a README fetches nothing; the fonts are those of the reader.
    svg = re.sub(r',?\s*url\("https://[^"]*"\) format\("[^"]*"\)', "", svg)
    # Without this some viewers drop the spaces at the start of a piece of text.
    return svg.replace('class="rich-terminal"', 'class="rich-terminal" xml:space="preserve"', 1)


def main() -> None:
    """Write every picture."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as empty:
        os.environ["XDG_CONFIG_HOME"] = empty
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        for shot in SHOTS:
            file = directory / f"{shot.name}.svg"
            file.write_text(asyncio.run(render(shot)), "utf-8")
            print(file)


if __name__ == "__main__":
    main()

"""``memtui open FILE``: a recording in the dashboard, or the heap screen on pictures in files."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from memtui.cli.diff import check_file
from memtui.errors import UsageError
from memtui.model.files import HEAD_BYTES, kind_of

if TYPE_CHECKING:
    from memtui.session.replay import ReplaySession

HELP = "play a recording, or leaf through heap pictures in files"

_ABOUT = """\
A recording (memtui record, or the key r) plays in the dashboard: space holds it, + and - change the speed, comma and
full stop move ten seconds, [ and ] from event to event, 0 to 9 to tenths, g to any moment. Heap pictures open in the
heap screen: types, their objects, who holds them, what they hold. With two or more pictures, it begins with the
difference of the last two. No process is touched.
"""
_EXAMPLES = """\
examples:
  memtui open night.memtui                  play a recording
  memtui open night.memtui --at 50% --speed 10
  memtui open 4242-20261121-120000.memtui   a heap picture
  memtui open before.memtui after.memtui    two of them
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a recording, or heap pictures")
    parser.add_argument("--at", metavar="MOMENT", help="begin at 50%%, 12:30, 90s or end of the recording")
    parser.add_argument("--speed", metavar="FACTOR", type=_speed, help="1 to 300 (default: over in 90 s at most)")
    parser.add_argument("--hold", action="store_true", help="do not play until space is pressed")
    parser.add_argument("--theme", metavar="NAME", help="colours: memtui-dark, memtui-light, ... or one of your own")


def run(args: argparse.Namespace) -> int:
    """Show them. Raises UsageError for what is no file of memtui, and when there is no terminal."""
    for file in args.files:
        check_file(file, "file", "memtui record PID, or memtui snapshot PID")
    recordings = [file for file in args.files if is_recording(file)]
    if not recordings:
        if args.at is not None or args.speed is not None or args.hold:
            raise UsageError("--at, --speed and --hold go with a recording.", next_step="Leave them out.")
        return _leaf_through(args)
    if len(args.files) > 1:
        raise UsageError(
            f"The recording {recordings[0]} must be opened by itself.", next_step="Name this one file only."
        )
    return _play(args)


def is_recording(file: Path) -> bool:
    """Whether a file begins as a recording does; False when it cannot be read."""
    with suppress(OSError), file.expanduser().open("rb") as opened:
        return kind_of(opened.read(HEAD_BYTES)) == "recording"
    return False


def _play(args: argparse.Namespace) -> int:
    from memtui.cli.dashboard import export
    from memtui.cli.signals import orderly_end
    from memtui.cli.terminal import check_terminal, take_terminal
    from memtui.session.recording.reader import RecordingFile
    from memtui.session.replay import ReplaySession

    file = RecordingFile(args.files[0])
    check_terminal(f"memtui report {args.files[0]}")
    session = ReplaySession(file, speed=args.speed, playing=not args.hold)
    with orderly_end(lambda: None) as caught:
        from memtui.tui.app import run_dashboard
        from memtui.tui.settings import load_settings

        _go_to(session, args.at)
        take_terminal()
        session.start()
        try:
            code = run_dashboard(session, load_settings(args.theme), export)
        finally:
            session.close()
    return caught.exit_code if caught.number is not None else code


def _go_to(session: ReplaySession, text: str | None) -> None:
    from memtui.model.command import SeekTo
    from memtui.session.moments import moment

    playback = session.state.playback
    assert playback is not None
    if text is not None:
        try:
            session.request(SeekTo(moment(text, playback)))
        except ValueError as error:
            raise UsageError(f"{error}.") from error


def _leaf_through(args: argparse.Namespace) -> int:
    from memtui.cli.signals import orderly_end
    from memtui.cli.terminal import check_terminal, take_terminal
    from memtui.heap.book import HeapBook
    from memtui.session.opened import FilesSession

    check_terminal(f"memtui diff {' '.join(map(str, args.files))}" if len(args.files) > 1 else "memtui diff A B")
    pictures = []
    for file in args.files:
        with HeapBook(file) as book:
            pictures.append(book.facts())
    with orderly_end(lambda: None) as caught:
        from memtui.tui.app import run_dashboard
        from memtui.tui.settings import load_settings

        take_terminal()
        code = run_dashboard(FilesSession(pictures), load_settings(args.theme), _no_report, files=True)
    return caught.exit_code if caught.number is not None else code


def _no_report(_: object) -> NoReturn:
    raise UsageError("There is no report on files.")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    if not 1 <= speed <= 300:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and 300")
    return speed

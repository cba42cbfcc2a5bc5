"""README's pictures of how a workspace is connected."""

import re
import struct
import subprocess

from support import processes
from support.processes import ROOT

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 80_000


def named_in_readme():
    return re.findall(r"!\[[^]]+\]\((scripts/pictures/[^)]+)\)", (ROOT / "README.md").read_text())


def is_picture(path):
    content = path.read_bytes()
    return content.startswith(PNG) and content.endswith(b"IEND\xaeB`\x82") and len(content) < LARGEST


def text_of(path):
    """What is to be read in it, without what differs from run to run: times, the service's port, the request's id."""
    content = path.read_bytes()
    start = content.index(b"iTXtDescription")
    [length] = struct.unpack(">I", content[start - 4:start])
    text = content[start + len(b"iTXtDescription") + 5:start + 4 + length].decode()
    text = re.sub(r"\w{3} \d+, \d{4}, [\d:]+\s[AP]M|(?<=in )\d[^\n]*", "TIME", text)
    return re.sub(r"[0-9a-f]{32}|(?<=localhost:)\d+", "ID", text)


def test_pictures_of_readme_are_there():
    """Each that README names is a whole PNG of a modest size, and there is none that it does not name."""
    named = named_in_readme()
    assert len(named) == 5
    assert [name for name in named if not is_picture(ROOT / name)] == []
    assert sorted(named) == sorted(f"scripts/pictures/{path.name}" for path in (ROOT / "scripts/pictures").iterdir())


def test_screenshots_makes_the_pictures_of_readme(tmp_path):
    """scripts/screenshots DIR walks the whole way, and writes what README names, no more and no less; README's own say
    what the console says today."""
    directory = tmp_path / "pictures"
    done = subprocess.run(
        [ROOT / "scripts/screenshots", directory], env=processes.plain_environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=processes.seconds(300), cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(f"scripts/pictures/{path.name}" for path in directory.iterdir()) == sorted(named_in_readme())
    assert [path for path in directory.iterdir() if not is_picture(path)] == []
    for path in sorted(directory.iterdir()):
        assert text_of(path) == text_of(ROOT / "scripts/pictures" / path.name), "scripts/screenshots makes them anew: look at them"

"""What bgpd announces is what was wanted last, also where it did not answer in time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from l4 import bgp
from l4.announce import Announcement
from l4.bgp import Announcer, BgpError

VIP = IPv4Address("203.0.113.10")
# Does what it is told, and answers only while nobody has asked it to be silent: as a bgpd that is starved of CPU.
VTYSH = """\
#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *"no network"*) rm -f "$here/announced" ;;
  *network*) touch "$here/announced" ;;
esac
[ ! -e "$here/silent" ] || exec sleep 60
"""


@pytest.fixture
def bgpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "vtysh").write_text(VTYSH)
    (tmp_path / "vtysh").chmod(0o755)
    (tmp_path / "bgpd.vty").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bgp, "_DEADLINE_S", 0.3)
    return tmp_path


def test_what_was_not_confirmed_is_said_again_even_if_it_was_so_before(bgpd: Path) -> None:
    announcer = Announcer(65203, bgpd / "bgpd.vty")

    def wanting(how: Announcement) -> Mapping[IPv4Address, Announcement]:
        return {VIP: how}

    async def through() -> None:
        await announcer.apply(lambda: wanting(Announcement.NORMAL))
        assert (bgpd / "announced").exists()
        (bgpd / "silent").touch()
        with pytest.raises(BgpError, match="had not answered"):
            await announcer.apply(lambda: wanting(Announcement.NONE))
        assert not (bgpd / "announced").exists(), "it did it, and nobody knows"
        assert not announcer.settled(wanting(Announcement.NORMAL))
        (bgpd / "silent").unlink()
        await announcer.apply(lambda: wanting(Announcement.NORMAL))
        assert (bgpd / "announced").exists()
        assert announcer.settled(wanting(Announcement.NORMAL))

    asyncio.run(through())

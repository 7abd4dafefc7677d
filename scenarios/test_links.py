"""What may happen to one link of an edge."""

from __future__ import annotations

from scenarios.faults.cut_link import cut_link
from scenarios.plugin import Judge


def test_cut_link(judge: Judge) -> None:
    judge.link("cut-link", lambda b, link: cut_link(b.lab, link, carrier_lost=True))


def test_cut_link_silently(judge: Judge) -> None:
    judge.link("cut-link-silently", lambda b, link: cut_link(b.lab, link, carrier_lost=False))

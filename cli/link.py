"""`nospof link`: the links of a running lab, cut and impaired by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import click
from rich.table import Table

from cli.lab import one_lab
from cli.outcome import BadUsage, console, print_json
from topologies.impairment import Impairment, rate_of, share_of, time_of
from topologies.linux.impair.doing import Impaired
from topologies.model import Link
from topologies.problems import closest
from topologies.runtimes import LinuxLab

lab_option = click.option("--lab", help="The lab's name, where several are up.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
toward_option = click.option("--toward", metavar="NODE", help="Only what travels to this end of the link.")
ends_argument = click.argument("ends", nargs=-1, required=True, metavar="NODE NODE | NODE:INTERFACE")


@click.group("link")
def command() -> None:
    """The links of a running lab: which there are, cut, mended, impaired and healed.

    A link is named by its two nodes (`eu-edge-1 eu-l4-1`) or by one of its ends (`eu-edge-1:eth3`).
    """


@contextlib.contextmanager
def _lab(name: str | None) -> Iterator[LinuxLab]:
    opened = one_lab(name)
    try:
        yield opened
    finally:
        opened.close()


def _link(lab: LinuxLab, ends: tuple[str, ...]) -> Link:
    links = lab.topology.links
    if len(ends) == 1 and ":" in ends[0]:
        found = [x for x in links if ends[0] in map(str, x.endpoints)]
    elif len(ends) == 2:
        found = [x for x in links if {p.node for p in x.endpoints} == {*ends}]
    else:
        raise BadUsage(f"{' '.join(ends)} names no link; expected two nodes, or one end such as NODE:eth1")
    if len(found) == 1:
        return found[0]
    if found:
        raise BadUsage(f"between {' and '.join(ends)} there are {', '.join(map(str, found))}: name one by an end of it")
    names = [end.partition(":")[0] for end in ends]
    if missing := [name for name in names if name not in lab.topology.nodes]:
        raise BadUsage(f"no node {missing[0]!r}{closest(missing[0], lab.topology.nodes)} in lab {lab.topology.name}")
    near = [str(x) for x in links if {p.node for p in x.endpoints} & {*names}]
    raise BadUsage(f"no link {' '.join(ends)}; there are {', '.join(near or map(str, links))}")


def _toward(link: Link, node: str | None) -> str | None:
    nodes = [p.node for p in link.endpoints]
    if node is not None and node not in nodes:
        raise BadUsage(f"--toward {node}: {link} ends at {' and '.join(nodes)}")
    return node


@command.command("list")
@lab_option
@json_option
def list_(lab: str | None, as_json: bool) -> int:
    """Every link, with its carrier, whether it is cut, and what impairs it."""
    with _lab(lab) as opened:
        cut = opened.cut_links()
        impaired = opened.impaired()
        rows = [(link, opened.carriers(link), link in cut) for link in opened.topology.links]
    if as_json:
        print_json(
            {
                "links": [
                    {"link": str(link), "carrier": all(carrier), "cut": is_cut, "mtu": link.mtu}
                    for link, carrier, is_cut in rows
                ],
                "impaired": [_as_json(one) for one in impaired],
            }
        )
        return 0
    table = Table("link", "MTU", "carrier", "state")
    for link, carrier, is_cut in rows:
        ends = {str(p) for p in link.endpoints}
        said = ["cut"] if is_cut else []
        said += [_sentence(one) for one in impaired if one.standing.sender in ends]
        table.add_row(str(link), str(link.mtu), "yes" if all(carrier) else "no", "\n".join(said))
    console.print(table)
    return 0


@command.command("cut")
@ends_argument
@click.option("--carrier-loss", is_flag=True, help="Let both ends notice; without, frames just stop.")
@lab_option
def cut(ends: tuple[str, ...], carrier_loss: bool, lab: str | None) -> int:
    """Let no frame pass, in either direction, until `nospof link mend`."""
    with _lab(lab) as opened:
        link = _link(opened, ends)
        if carrier_loss:
            opened.drop_carrier(link)
        else:
            opened.cut_link(link)
    console.print(f"{link} is cut {'with loss of carrier' if carrier_loss else 'silently'}", markup=False)
    return 0


@command.command("mend")
@ends_argument
@lab_option
def mend(ends: tuple[str, ...], lab: str | None) -> int:
    """Undo `nospof link cut`, with or without loss of carrier."""
    with _lab(lab) as opened:
        link = _link(opened, ends)
        opened.mend_link(link)
        if not all(opened.carriers(link)):
            opened.raise_carrier(link)
    console.print(f"{link} carries frames", markup=False)
    return 0


def _read(convert: Callable[[str], float]) -> Callable[[click.Context, click.Parameter, str | None], float]:
    def read(_: click.Context, parameter: click.Parameter, value: str | None) -> float:
        try:
            return convert(value) if value else 0
        except ValueError as error:
            raise BadUsage(f"--{parameter.name}: {error}") from None

    return read


@command.command("impair")
@ends_argument
@toward_option
@click.option("--delay", metavar="TIME", callback=_read(time_of), help="Every frame waits as long: 20ms, 300us.")
@click.option("--jitter", metavar="TIME", callback=_read(time_of), help="… or up to this much more or less.")
@click.option("--loss", metavar="SHARE", callback=_read(share_of), help="Frames that do not arrive: 1%, 0.05%.")
@click.option("--corruption", metavar="SHARE", callback=_read(share_of), help="Frames with one bit flipped.")
@click.option("--duplication", metavar="SHARE", callback=_read(share_of), help="Frames that arrive twice.")
@click.option("--reordering", metavar="SHARE", callback=_read(share_of), help="Frames that are not delayed.")
@click.option("--rate", metavar="RATE", callback=_read(rate_of), help="As fast as this: 10mbit, 500kbit.")
@lab_option
@json_option
def impair(ends: tuple[str, ...], toward: str | None, lab: str | None, as_json: bool, **asked: float) -> int:
    """Impair a link, both directions or the one --toward a node, until `nospof link heal`.

    `nospof link impair eu-edge-1 eu-l4-1 --toward eu-l4-1 --delay 20ms --jitter 2ms --loss 1%`
    """
    named = {"delay": "delay_ns", "jitter": "jitter_ns"}
    try:
        how = Impairment(**{named.get(name, name): value for name, value in asked.items()})  # type: ignore[arg-type]
    except ValueError as error:
        raise BadUsage(str(error)) from None
    if not how:
        raise BadUsage(
            "say how to impair it: --delay, --jitter, --loss, --corruption, --duplication, --reordering, --rate"
        )
    with _lab(lab) as opened:
        link = _link(opened, ends)
        standing = opened.impair(link, how, _toward(link, toward))
        found = [one for one in opened.impaired() if one.standing in standing]
    if as_json:
        print_json({"impaired": [_as_json(one) for one in found]})
    for one in found if not as_json else ():
        console.print(str(one.standing), markup=False)
    return 0


@command.command("heal")
@ends_argument
@toward_option
@lab_option
def heal(ends: tuple[str, ...], toward: str | None, lab: str | None) -> int:
    """Undo `nospof link impair`; what is on its way still arrives."""
    with _lab(lab) as opened:
        link = _link(opened, ends)
        was = opened.heal_impairment(link, _toward(link, toward))
    console.print(f"{link} {'is no longer impaired' if was else 'was not impaired'}", markup=False)
    return 0


def _sentence(one: Impaired) -> str:
    drawn, said = one.drawn, []
    if drawn.frames:
        said = [f"{drawn.frames} frames"]
        counted = (("lost", drawn.lost), ("corrupted", drawn.corrupted), ("duplicated", drawn.duplicated))
        said += [f"{count} {what}" for what, count in counted if count]
    if one.wire and one.wire.overflowed:
        said.append(f"{one.wire.overflowed} over the rate")
    return f"{one.standing}{': ' if said else ''}{', '.join(said)}" + (f" ({one.trouble})" if one.trouble else "")


def _as_json(one: Impaired) -> dict[str, object]:
    how, drawn = one.standing.impairment, one.drawn
    return {
        "sender": one.standing.sender,
        "receiver": one.standing.receiver,
        "delay_ms": how.delay_ns / 1e6,
        "jitter_ms": how.jitter_ns / 1e6,
        "loss": how.loss,
        "corruption": how.corruption,
        "duplication": how.duplication,
        "reordering": how.reordering,
        "rate_bit_s": how.rate,
        "by": list(one.standing.means.names),
        "frames": drawn.frames,
        "lost": drawn.lost,
        "corrupted": drawn.corrupted,
        "duplicated": drawn.duplicated,
        "trouble": one.trouble,
    }

"""What `repair` says of what it has found, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.repair import Examination, Stretch
    from muxer.salvage.report import Findings
    from muxer.salvage.write import Rescued

_TOLD = 12
"""Stretches that are told one by one; the report has them all."""


def told_of_ours(examination: Examination) -> Iterator[str]:
    """What is left of a recording of cammcorder, what is lost, and what is to be done."""
    yield f"{examination.path}: {examination.remedy.value}"
    for found in examination.tracks:
        line = f"  track {found.track.number} ({found.track.codec}): {len(found.table):,} kept"
        if found.lost:
            line += f", {found.lost:,} lost"
        if found.unverified and not examination.complete:
            line += f"; {found.unverified:,} of them by their looks, for no checksum holds"
        yield line + _smeared(found.smeared)
    lost = [("  lost", gap) for gap in examination.gaps] + [
        (f"  lost of track {found.track.number}", stretch)
        for found in examination.tracks
        for stretch in found.stretches
        if stretch.reason
    ]
    yield from _told(lost)


def told_of_others(findings: Findings) -> Iterator[str]:
    """What was found in a file of another maker, what not, and what was assumed."""
    yield f"{findings.path}: {findings.remedy}"
    if findings.reference is not None:
        yield f"  by the example of {findings.reference}"
    for found in findings.tracks:
        line = f"  track {found.number} ({found.codec}): {found.kept:,} kept"
        if found.first_ns is not None and found.last_ns is not None:
            line += f", {found.first_ns / 1e9:.3f} s to {found.last_ns / 1e9:.3f} s"
        if found.lost:
            line += f", {'about ' if findings.gaps else ''}{found.lost:,} lost"
        if found.blank:
            line += f"; {found.blank:,} kept with zeros inside"
        yield line + _smeared(found.smeared)
    for number, why in findings.unable.items():
        yield f"  track {number}: none kept: {why}"
    yield from _told([("  lost", gap) for gap in findings.gaps])
    for assumption in findings.assumed:
        yield f"  assumed: {assumption}"
    for found in findings.tracks:
        for assumption in found.assumed:
            yield f"  assumed of track {found.number}: {assumption}"


def plan_in_place(rescued: Rescued) -> Iterator[str]:
    """What a repair in place will do. UsageError where it cannot be."""
    from muxer.salvage.write import patches

    planned = patches(rescued)
    yield f"  in place: append a moov at byte {planned.append_at:,}"
    for at, data in planned.changes:
        yield f"  then change {len(data)} bytes at byte {at:,}"


def _smeared(pictures: int) -> str:
    if not pictures:
        return ""
    return f"; {pictures:,} after a lost picture, smeared until the next key frame"


def _told(lost: list[tuple[str, Stretch]]) -> Iterator[str]:
    for name, stretch in lost[:_TOLD]:
        yield f"{name}: {_where(stretch)}"
    if len(lost) > _TOLD:
        yield f"  and {len(lost) - _TOLD:,} stretches more: --report has them all"


def _where(stretch: Stretch) -> str:
    start, end = (
        "?" if t is None else f"{t / 1e9:.3f} s" for t in (stretch.from_ns, stretch.until_ns)
    )
    samples = f"{stretch.samples:,} samples, " if stretch.samples else ""
    return (
        f"{samples}{start} to {end}, bytes {stretch.start:,} to {stretch.end:,}: {stretch.reason}"
    )

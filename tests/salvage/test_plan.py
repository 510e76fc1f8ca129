"""What recognises the tracks of a healthy file, and which of them nothing does."""

from muxer.salvage.reference import Reference
from muxer.salvage.salvage import _Plan


def test_sound_that_does_not_say_how_to_decode_it_is_left_and_the_others_are_not(reference_track):
    sound = reference_track(number=1)  # an `mp4a` without an `esds`
    pictures = reference_track(b"vide", b"\0\0\0\x08apcn", number=2)
    plan = _Plan.of(Reference("", b"", b"", (sound, pictures)))
    assert [[track.number for track in tracks] for _, tracks in plan.scanners] == [[2]]
    assert list(plan.unable) == [1]
    assert "esds" in plan.unable[1]

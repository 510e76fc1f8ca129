"""What fuzzing starts from is worth starting from."""

from camm import PacketType
from fuzz.seeds import write_seeds
from muxer import reader, repair


def test_every_seed_opens_and_is_what_it_is_called(tmp_path):
    write_seeds(tmp_path)
    clips = {path.name: reader.open(path) for path in tmp_path.iterdir()}
    assert clips.keys() == {"fragmented", "finished", "madv", "pixel"}
    assert {name for name, clip in clips.items() if clip.fragmented} == {"fragmented", "madv"}
    assert set(clips["finished"].counts) == set(clips["fragmented"].counts) == set(PacketType)
    assert len(clips["madv"].madv.angle_axis)
    assert clips["pixel"].camm_tracks
    assert all(path.stat().st_size < 20_000 for path in tmp_path.iterdir())
    assert repair.examine(tmp_path / "fragmented").fragments > 1
    for clip in clips.values():
        clip.close()

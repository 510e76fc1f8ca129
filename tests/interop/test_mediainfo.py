"""MediaInfo: knows nothing of CAMM, and shows the structure as it is."""

import json


def test_tracks(clip, program):
    shown = json.loads(program("mediainfo", "--Output=JSON", clip.path))["media"]["track"]
    kinds = [track["@type"] for track in shown]
    assert kinds.count("Video") == 1
    (metadata,) = [track for track in shown if track["@type"] == "Other"]
    assert metadata["Type"] == "meta"
    assert int(metadata["FrameCount"]) == len(clip.records.kind)
    assert abs(float(metadata["Duration"]) - clip.camm_tracks[0].duration_ns / 1e9) < 0.001


def test_date_and_maker(clip, program):
    general = json.loads(program("mediainfo", "--Output=JSON", clip.path))["media"]["track"][0]
    assert general["Encoded_Date"] == f"{clip.created:%Y-%m-%d %H:%M:%S} UTC"
    assert (general["extra"]["Make"], general["extra"]["Model"]) == (clip.make, clip.model)

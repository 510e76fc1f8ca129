"""A microphone whose crystal is its own: packets on the host's time, and what was lost is a gap."""

import errno
import os
import subprocess
import sys
import wave

import av
import numpy as np
import pytest

from camm import UsageError
from drivers.errors import DeviceError
from drivers.microphone import AlsaCapture, Microphone, MicrophoneOptions
from drivers.sample_clock import SampleClock
from drivers.sound_encoder import SoundEncoder

SECOND = 1_000_000_000
MS = 1_000_000
START = 86_400 * SECOND + 123_456_789
RATE = 16_000
FRAME = 1024


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.t_ns = START

    def now_ns(self):
        return self.t_ns


class Card:
    """Blocks of 20 ms from a card, `ppm` faster than the host; sample n is what `sound` says.

    `late_ns` of a block's number; `stall` is (block, ns) for which the reader is away: what does
    not fit a buffer of half a second is lost, and the card begins anew.
    """

    block = RATE // 50

    def __init__(self, clock, ppm=0.0, late_ns=lambda n: 0, stalls=(), ends=None, sound=None):
        self.clock, self.late_ns, self.stalls, self.ends = clock, late_ns, dict(stalls), ends
        self.period = SECOND / RATE / (1 + ppm * 1e-6)
        self.sound = sound or (lambda t_ns: np.zeros(len(t_ns), np.int16))
        self.number = self.taken = 0
        self.began = None
        self.closed = 0
        self.starts = []  # true time of every first sample after which none is missing

    def at(self, count):
        return self.began + count * self.period

    def read(self):
        if self.ends is not None and self.number >= self.ends:
            raise DeviceError(errno.ENODEV, "unplugged")
        self.clock.t_ns += self.stalls.pop(self.number, 0)
        if self.began is None or self.clock.t_ns - self.at(self.taken) > SECOND // 2:
            self.began, self.taken = self.clock.t_ns, 0
            self.starts.append(self.began)
        counts = np.arange(self.taken, self.taken + self.block)
        self.taken += self.block
        came = round(self.at(self.taken)) + self.late_ns(self.number)
        self.clock.t_ns = max(self.clock.t_ns, came)
        self.number += 1
        return self.sound(self.at(counts)).reshape(-1, 1)

    def close(self):
        self.closed += 1


def made(card, **options):
    options = MicrophoneOptions("hw:1", **{"rate_hz": RATE, "channels": 1, **options})
    microphone = Microphone(options, card.clock, lambda asked: card)
    microphone.open()
    return microphone


def packets_of(microphone, seconds):
    found = []
    end = microphone._clock.t_ns + round(seconds * SECOND)
    while microphone._clock.t_ns < end:
        found += microphone.read()
    return found


def decoded(format_, packets):
    """(times, samples): what was heard, each sample with the time that its packet gives it."""
    context = av.AudioCodecContext.create(format_.codec, "r")
    context.extradata, context.sample_rate = format_.extradata, format_.sample_rate
    context.layout = "mono"
    t_ns, sound = [], []
    for packet in packets:
        coded = av.Packet(packet.data)
        for frame in context.decode(coded):
            values = frame.to_ndarray()[0]
            sound.append(values)
            t_ns.append(packet.pts_ns + np.arange(len(values)) * SECOND / RATE)
    return np.concatenate(t_ns), np.concatenate(sound)


def clicks(t_ns, every_ns=SECOND):
    """A short tone at every whole second of the host's clock."""
    off = t_ns - np.rint(t_ns / every_ns) * every_ns
    near = np.abs(off) < 2 * MS
    return np.where(near, 20_000 * np.cos(off * 2e3 * 2 * np.pi / SECOND), 0).astype(np.int16)


def loudest(t_ns, sound):
    """When each click was: where the sound is most like it, of 30 ms on either side."""
    found = []
    like = clicks(np.arange(-2 * MS, 2 * MS, SECOND / RATE)) / 32768
    for second in range(int(t_ns[0] // SECOND) + 1, int(t_ns[-1] // SECOND)):
        begin, end = np.searchsorted(t_ns, (second * SECOND - 30 * MS, second * SECOND + 30 * MS))
        if end - begin == 0 or np.abs(sound[begin:end]).max() < 0.2:
            continue
        alike = np.correlate(sound[begin:end], like, "same")
        found.append((second * SECOND, t_ns[begin + alike.argmax()]))
    return np.array(found)


def test_the_format_is_known_before_the_microphone_is_there():
    card = Card(Clock())
    microphone = Microphone(MicrophoneOptions(rate_hz=RATE), card.clock, lambda asked: card)
    assert (microphone.format.kind, microphone.format.codec) == ("audio", "aac")
    assert (microphone.format.sample_rate, microphone.format.channels) == (RATE, 1)
    assert card.number == 0
    with pytest.raises(DeviceError, match="is not open"):
        microphone.read()


@pytest.mark.parametrize(("ppm", "seconds"), [(150.0, 600), (-150.0, 60), (0.0, 60)])
def test_clicks_are_where_they_were_after_minutes_of_drift(ppm, seconds):
    random = np.random.default_rng(7)
    card = Card(Clock(), ppm, lambda n: round(random.exponential(2 * MS)), sound=clicks)
    microphone = made(card)
    packets = packets_of(microphone, seconds)
    assert microphone.overruns == 0
    found = loudest(*decoded(microphone.format, packets))
    assert len(found) > seconds - 5
    wrong_ms = (found[:, 1] - found[:, 0]) / MS
    assert np.abs(wrong_ms[5:]).max() < 1.0
    assert microphone.describe()["clock_fit"]["period_error_ppm"] == pytest.approx(-ppm, abs=5)


def test_packets_follow_evenly_and_none_is_missing():
    random = np.random.default_rng(8)
    card = Card(Clock(), 150.0, lambda n: round(random.uniform(0, 5 * MS)))
    packets = packets_of(made(card), 60)
    apart = np.diff([packet.pts_ns for packet in packets])
    nominal = FRAME * SECOND / RATE
    assert np.abs(apart / nominal - 1).max() < 2.5e-3
    assert np.abs(apart[50:].mean() / nominal - 1 + 150e-6) < 2e-5
    assert [packet.dts_ns for packet in packets] == [packet.pts_ns for packet in packets]
    assert {packet.stream for packet in packets} == {1}
    assert len(packets) == pytest.approx(60 * RATE / FRAME, abs=10)


def test_the_first_packet_primes_the_decoder_and_lies_before_the_sound():
    card = Card(Clock())
    first, second, *_ = packets_of(made(card), 2)
    assert second.pts_ns == pytest.approx(card.starts[0], abs=MS)
    assert second.pts_ns - first.pts_ns == pytest.approx(FRAME * SECOND / RATE, abs=1)


def test_late_blocks_are_no_gap():
    """A host that is away for a fifth of a second finds everything in the buffer."""
    stalls = [(200, 200 * MS), (400, 450 * MS), (600, 100 * MS)]
    card = Card(Clock(), 50.0, stalls=stalls, sound=clicks)
    microphone = made(card)
    packets = packets_of(microphone, 30)
    assert len(card.starts) == 1
    assert microphone.overruns == 0
    apart = np.diff([packet.pts_ns for packet in packets])
    assert np.abs(apart / (FRAME * SECOND / RATE) - 1).max() < 2.5e-3
    found = loudest(*decoded(microphone.format, packets))
    assert np.abs(found[2:, 1] - found[2:, 0]).max() < MS


def test_an_overrun_is_counted_and_leaves_a_gap_and_no_silence():
    card = Card(Clock(), 80.0, stalls=[(500, 3 * SECOND)], sound=clicks)
    microphone = made(card)
    packets = packets_of(microphone, 30)
    _, lost_until = card.starts
    assert microphone.overruns == 1
    pts = np.array([packet.pts_ns for packet in packets])
    (gap,) = np.flatnonzero(np.diff(pts) > 2 * FRAME * SECOND / RATE)
    assert pts[gap + 1] == pytest.approx(lost_until, abs=MS)
    assert (np.diff(pts) > 0).all()
    found = loudest(*decoded(microphone.format, packets))
    assert len(found) >= 23
    assert np.abs(found[2:, 1] - found[2:, 0]).max() < MS


def test_two_overruns_one_after_the_other():
    card = Card(Clock(), stalls=[(300, 2 * SECOND), (305, 2 * SECOND), (600, SECOND)])
    microphone = made(card)
    packets = packets_of(microphone, 30)
    pts = np.array([packet.pts_ns for packet in packets])
    assert (np.diff(pts) > 0).all()
    assert pts[-1] == pytest.approx(card.clock.t_ns, abs=300 * MS)
    assert microphone.overruns >= 2


def test_one_that_goes_away_says_so_and_can_be_opened_again():
    card = Card(Clock(), ends=200)
    microphone = made(card)
    with pytest.raises(DeviceError, match="unplugged"):
        packets_of(microphone, 10)
    assert not microphone.overruns
    card.ends, card.began = None, None
    card.clock.t_ns += 5 * SECOND
    microphone.open()
    _, second, *_ = packets_of(microphone, 3)
    assert second.pts_ns == pytest.approx(card.starts[-1], abs=MS)
    microphone.close()
    microphone.close()
    assert card.closed >= 2


def test_a_settling_clock_tells_of_no_gap_where_only_the_host_was_late():
    clock = SampleClock(1000)
    for n in range(1, 300):
        clock.take(10, START + n * 10 * MS)
    assert not clock.settling
    clock.take(10, START + 3400 * MS)
    assert clock.settling
    for n in range(301, 400):
        clock.take(10, max(START + n * 10 * MS, START + 3400 * MS))
    assert not clock.settling
    assert clock.gaps == 0


def test_stereo_is_two_channels():
    heard = []
    encoder = SoundEncoder(48_000, 2, 128_000, lambda count: count * 20_833)
    sound = np.stack([np.arange(4800) % 100 * 200, np.zeros(4800)], axis=1).astype(np.int16)
    for part in np.split(sound, 10):
        heard += encoder.encode(part)
    assert encoder.format.channels == 2
    assert len(heard) == 3  # of four, one is still in the encoder
    context = av.AudioCodecContext.create("aac", "r")
    context.extradata = encoder.format.extradata
    frames = [frame for packet in heard for frame in context.decode(av.Packet(packet.data))]
    left, right = np.concatenate([frame.to_ndarray() for frame in frames[1:]], axis=1)
    assert np.abs(left).max() > 0.3
    assert np.abs(right).max() < 0.05


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 3), (12_345, 1)])
def test_what_aac_cannot_do_is_said_at_once(rate, channels):
    with pytest.raises(UsageError):
        Microphone(MicrophoneOptions("hw:1", rate, channels), Clock(), lambda asked: None)


# ALSA as PyAV has it, with a sound file in the place of the device


def wav(path, rate=RATE, channels=1, samples=8000):
    with wave.open(str(path), "wb") as out:
        out.setparams((channels, 2, rate, samples, "NONE", ""))
        out.writeframes(np.arange(samples * channels, dtype="<i2").tobytes())
    return str(path)


def test_samples_come_by_blocks_as_they_are(tmp_path):
    options = MicrophoneOptions(wav(tmp_path / "a.wav"), RATE, 1)
    capture = AlsaCapture(options, "wav")
    first = capture.read()
    assert first.shape[1] == 1
    assert len(first) >= RATE // 50
    joined = np.concatenate([first, capture.read()])[:, 0]
    assert (joined == np.arange(len(joined))).all()
    with pytest.raises(DeviceError, match="has gone"):
        [capture.read() for _ in range(50)]
    capture.close()
    capture.close()
    with pytest.raises(DeviceError, match="has gone"):
        capture.read()


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (RATE, 2)])
def test_a_device_that_does_something_else_is_refused(tmp_path, rate, channels):
    path = wav(tmp_path / "a.wav", rate, channels)
    with pytest.raises(DeviceError, match=f"has {rate} Hz and {channels} channels: ask for these"):
        AlsaCapture(MicrophoneOptions(path, RATE, 1), "wav")


def test_a_device_that_is_not_there_is_told_by_its_name(tmp_path):
    with pytest.raises(DeviceError, match="hw:77 cannot be opened"):
        AlsaCapture(MicrophoneOptions("hw:77", RATE, 1), "wav")


ASK_ALSA = """
from drivers.microphone import AlsaCapture, MicrophoneOptions

capture = AlsaCapture(MicrophoneOptions("nothing", 44_100, 2))
print(capture.read().shape)
"""


def test_alsa_itself_is_asked_for_rate_and_channels(tmp_path):
    """Its null device, in a process of its own: it reads its configuration once."""
    configuration = tmp_path / "alsa.conf"
    configuration.write_text("pcm.nothing { type null }\n")
    done = subprocess.run(
        [sys.executable, "-c", ASK_ALSA],
        env={**os.environ, "ALSA_CONFIG_PATH": str(configuration)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "(882, 2)\n", done.stderr

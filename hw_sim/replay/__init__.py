"""Recorded logs in place of what recorded them: a receiver's bytes, a chip's samples, tables."""

from hw_sim.replay.receiver import ReplayedReceiver, split_epochs

__all__ = ["ReplayedReceiver", "split_epochs"]

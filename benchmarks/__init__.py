"""Figures: how fast clips are read and written, what that takes, and how well stamps are made.

    python -m benchmarks.reading [CLIP]     cammcorder and other people's readers on the same clips
    python -m benchmarks.writing            recordings to a real disk
    python -m benchmarks.recording          what a recording costs while it runs, stage by stage
    python -m benchmarks.clocks             stamps of a simulated sensor against the truth
    python -m benchmarks.pictures           orientation of a simulated film's frames and lines
    python -m benchmarks.orientation FOLDER orientation in recorded trials with an optical truth
    python -m benchmarks.service            memory, answers and first frame of the service

Each measurement of cost is a process of its own. Nothing is asserted: figures are those of the
machine and of the moment, and the load of both is printed beside them. Other readers that are not
installed are reported as absent; `pip install 'cammcorder[bench]'` has those that are Python
packages.
"""

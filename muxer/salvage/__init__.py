"""Rebuilding damaged files of any maker, with a healthy file of the same device as reference.

    from muxer.salvage.rescue import rescue
    from muxer.salvage.write import write_new

    found = rescue("damaged.mp4", "healthy.mp4")  # reads only
    write_new(found.rescued, Path("damaged.repaired.mp4"))

docs/REPAIR.md says how it works and what is assumed.
"""

"""The recording session, and what will surround it: configuration, storage, control."""

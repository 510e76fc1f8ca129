"""MP4 out and in: the recording file, the reader, and what people do with a clip.

Works on a laptop with no rig: nothing here knows of drivers or of the service.
"""

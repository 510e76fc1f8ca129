"""Calibration and orientation: arrays in, arrays out. Knows no device, no file, no thread."""

"""Scanners, one file a codec."""

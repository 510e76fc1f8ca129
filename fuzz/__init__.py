"""Bytes that nobody thought of, for what reads files: `make fuzz`.

An input may open or be refused with one of our errors, within seconds and little memory; anything
else is a fault, and the input that shows it is kept in `.fuzz`.
"""

"""What a sensor gets wrong, found without a laboratory: arrays in, figures out.

Every fit refuses what it cannot answer from (`CalibrationError`): a calibration that looks right
and is wrong does more harm than none.
"""

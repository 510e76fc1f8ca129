"""Hardware in: the I2C bus, one file per chip, GPS receivers, cameras, and all their clocks."""

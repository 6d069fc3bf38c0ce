"""A person's data: what a folder holds, what it is worth, what is rejected and why, how it is split and drawn from.

Three kinds are read: images, bars (OHLCV tables) and requests (cache traces). Tasks build on this package; nothing here
knows a task.
"""

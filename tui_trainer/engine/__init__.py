"""The engine process: the loop, the hub, the signals."""

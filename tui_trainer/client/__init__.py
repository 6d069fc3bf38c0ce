"""A live engine or a replay, behind one interface: `RunSource`."""

"""The vocabulary: events, commands, actions, reports, state, settings. No torch, no disk, no clock."""

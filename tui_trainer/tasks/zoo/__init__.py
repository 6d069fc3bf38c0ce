"""PettingZoo's environments: found by name, games for two as self-play, others with a row for each agent."""

"""What updates. One readable file an algorithm; the registry loads nothing heavy."""

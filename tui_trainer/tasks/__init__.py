"""What can be trained. One file a task; the registry loads nothing heavy."""

"""Decisions, pure: no torch, no clock, no disk."""

"""Bars, where they come from, what they are worth and how they are split: what `trading` trains on."""

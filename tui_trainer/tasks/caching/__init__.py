"""Requests, where they come from, known caching policies and a batched cache: what `cache` trains on."""

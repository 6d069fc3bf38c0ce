"""The rules of the conformance kit: each returns what it saw, or raises Broken."""

"""Faults on purpose: what must not go wrong, made to go wrong."""

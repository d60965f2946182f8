"""Clients in the shape of other watchdogs, for code that calls those already."""

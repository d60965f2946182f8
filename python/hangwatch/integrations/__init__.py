"""Hooks into the libraries that inference code is made of, each in a module of its own, imported by nobody but you."""

"""Training: what the network learns from, and how it learns."""

#: Version of the method: of everything that determines the map that the defaults give for the same files and seed.
#: Raise it by one in the commit that changes what training or inference gives by more than rounding (features, teacher,
#: network, recipe, defaults, stride, how images are standardised, which pixels are drawn), and not for changes that
#: only move code or words. Measured results carry it, so that results of another version are recognised; `python -m
#: tests.golden` then writes the file that `tests/test_golden.py` compares with.
METHOD_VERSION = 3

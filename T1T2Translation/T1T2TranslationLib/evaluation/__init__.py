"""Judging a model over a data set by protocol T2P-1: `t1t2 evaluate`."""

"""Answers for each pair of samples what numpy and scipy say: PSI, and KS by both methods.

A case on standard input is three little-endian 32-bit numbers (size of the baseline, size of the current sample, bins) and
both samples as 64-bit floats; its answer on standard output is five 64-bit floats: PSI, D and p with method="auto", D and p
with method="asymp".
"""

import struct
import sys
import warnings

import numpy as np
from scipy import stats

EPSILON = 1e-4


def psi(baseline, current, bins):
    """Written from the definition, with numpy's own counting."""
    ordered = np.sort(baseline)
    ranks = [-(-len(ordered) * k // bins) - 1 for k in range(1, bins)]
    edges = np.unique(ordered[np.maximum(ranks, 0)]) if ranks else np.empty(0)
    if len(edges) and edges[0] == ordered[0]:
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    shares = []
    for sample in (baseline, current):
        # `left` puts a value that equals an edge into the bin that the edge closes.
        counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
        share = counts / len(sample)
        shares.append((share + EPSILON) / np.sum(share + EPSILON))
    before, now = shares
    return float(np.sum((now - before) * np.log(now / before)))


def main():
    warnings.simplefilter("ignore")
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(12):
        sizes_and_bins = struct.unpack("<3I", head)
        baseline, current = (np.frombuffer(source.read(8 * size), "<f8") for size in sizes_and_bins[:2])
        automatic = stats.ks_2samp(baseline, current, method="auto")
        asymptotic = stats.ks_2samp(baseline, current, method="asymp")
        sink.write(
            struct.pack(
                "<5d",
                psi(baseline, current, sizes_and_bins[2]),
                automatic.statistic,
                automatic.pvalue,
                asymptotic.statistic,
                asymptotic.pvalue,
            )
        )
        sink.flush()


main()

"""PSI and KS of columns against the sorted samples of a baseline, with numpy and scipy.

Usage: drift.py scipy|numpy BASELINE CURRENT COLUMNS LENGTH SAMPLE BINS THREADS

The answer is JSON on standard output. `scipy` calls ks_2samp. `numpy` does not: it knows that the distance is largest at a
value of the sample, or right below one, so that one sort and two searches for the sample are enough.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import stats

EPSILON = 1e-4


def quantile_edges(sample, bins):
    ranks = [max(-(-len(sample) * k // bins) - 1, 0) for k in range(1, bins)]
    edges = np.unique(sample[ranks])
    if edges[0] == sample[0]:
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    return edges


def shares(ordered, edges):
    """Of sorted values in the bins, smoothed: a search for each edge instead of one for each value."""
    counts = np.diff(np.searchsorted(ordered, edges, side="right"), prepend=0, append=len(ordered))
    return (counts / len(ordered) + EPSILON) / (1 + EPSILON * len(counts))


def distance(sample, ordered):
    """The two-sample statistic from sorted values."""
    size, points = len(sample), np.unique(sample)
    at = np.searchsorted(sample, points, side="right") / size
    below = np.searchsorted(sample, points, side="left") / size
    now = np.searchsorted(ordered, points, side="right") / len(ordered)
    before = np.searchsorted(ordered, points, side="left") / len(ordered)
    return max(np.max(np.abs(at - now)), np.max(np.abs(below - before)))


def main():
    mode, baseline, current = sys.argv[1:4]
    columns, length, size, bins, threads = map(int, sys.argv[4:9])
    samples = np.memmap(baseline, "<f8", "r", shape=(columns, size))

    def compare(column):
        sample = np.array(samples[column])
        values = np.fromfile(current, "<f8", count=length, offset=8 * length * column)
        values.sort()
        edges = quantile_edges(sample, bins)
        before, now = shares(sample, edges), shares(values, edges)
        psi = np.sum((now - before) * np.log(now / before))
        if mode == "scipy":
            d, p = stats.ks_2samp(sample, values)[:2]
        else:
            d = distance(sample, values)
            p = stats.kstwo.sf(d, np.round(size * length / (size + length)))
        return float(psi), float(d), float(p)

    # numpy lets go of the interpreter's lock while it sorts and searches.
    start, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        figures = list(pool.map(compare, range(columns)))
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    json.dump({"seconds": seconds, "cpu_seconds": processor, "peak_kib": peak, "figures": figures}, sys.stdout)


main()

"""HTTP as this API speaks it: problems, paths, bodies, the drain at shutdown."""

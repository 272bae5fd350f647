"""HTTP as this API speaks it: routes, problems, paths, bodies, the drain at shutdown."""

"""The contract, version 1: everything the API and the controller share, and nothing else.

The Docker Engine is the store, as etcd is Kubernetes'. What one process writes there and the
other reads is defined in this package: labels, job identity, phases. Standard library only, no
I/O, no clock.
"""

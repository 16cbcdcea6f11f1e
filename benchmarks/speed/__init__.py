"""Speed and memory, against two peers, a bare torch loop and the matrix products alone. See run.py."""

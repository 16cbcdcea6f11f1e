"""Speed and memory, compared with two libraries, a bare torch loop and the matrix products alone. See run.py."""

"""What the scripts and the tests share: the real programs, and the local cluster that they make. Standard library only."""

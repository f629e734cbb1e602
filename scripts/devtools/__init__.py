"""What the scripts and the tests share: the real programs and the local cluster. Standard library only."""

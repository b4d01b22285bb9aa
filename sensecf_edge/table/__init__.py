"""One way in for every table: what a file is, its first bytes say; what a cell says is the same in every format."""

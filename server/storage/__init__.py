"""Where the bytes of files are kept: a directory, or a bucket of an S3-compatible service."""

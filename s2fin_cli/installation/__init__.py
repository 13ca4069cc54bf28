"""What an installation consists of, and what would keep s2fin from working in it."""

"""SuspectFinder: the masks of what was trained on that the trained model contradicts most confidently."""
